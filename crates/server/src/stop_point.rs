//! Named places where a test can have the process killed.
//!
//! Built only with the feature `kill-points`; otherwise [`reach`] is empty and costs nothing.

/// Kills the process with SIGKILL if `HANDFAST_KILL_AT` names this place: `name`, or `name:n` for
/// the n-th time it is reached.
#[cfg(feature = "kill-points")]
pub fn reach(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static TARGET: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let wish = std::env::var("HANDFAST_KILL_AT").ok()?;
        let (name, nth) = wish.split_once(':').unwrap_or((&wish, "1"));
        Some((name.to_owned(), nth.parse().expect("HANDFAST_KILL_AT is `name` or `name:n`")))
    });
    static REACHED: AtomicU64 = AtomicU64::new(0);

    let Some((target, nth)) = &*TARGET else { return };
    if target == name && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Does nothing in this build.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub fn reach(_name: &str) {}
