//! Named places where a test can have this process, or another one, killed.
//!
//! Built only with the feature `kill-points`; otherwise [`reach`] is empty and costs nothing.

use std::fmt::Display;

/// Kills with SIGKILL if `HANDFAST_KILL_AT` names this place: `name`, or `name:n` for the n-th time
/// it is reached.
///
/// What is killed is this process, or the one that `HANDFAST_KILL_PID` names: a participant, at a
/// moment of ours. Then this returns when that one is dead.
#[cfg(feature = "kill-points")]
pub fn reach(place: impl Display) {
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
    if place.to_string() == *target && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
        kill();
    }
}

#[cfg(feature = "kill-points")]
fn kill() {
    use rustix::process::{Pid, Signal, getpid, kill_process};

    let other = std::env::var("HANDFAST_KILL_PID").ok().map(|pid| {
        let pid = pid.parse().ok().and_then(Pid::from_raw);
        pid.expect("HANDFAST_KILL_PID is the number of a process")
    });
    // An error means that it is dead already.
    let _ = kill_process(other.unwrap_or_else(getpid), Signal::KILL);
    let is_dead = |pid: Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        // The state follows the name, which is in brackets; a zombie waits only to be noticed.
        stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('Z')))
    };
    while other.is_some_and(|pid| !is_dead(pid)) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Does nothing in this build.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub fn reach(_place: impl Display) {}
