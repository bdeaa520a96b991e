//! How long branches stay in doubt: looked at from outside, in the banks themselves.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::JoinHandle};

use super::bank::Bank;

const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Looks again and again, until it is stopped.
pub struct Watch {
    task: JoinHandle<Duration>,
    stop: oneshot::Sender<()>,
}

impl Watch {
    pub fn start(banks: Arc<[Bank; 2]>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { task: tokio::spawn(look(banks, stopped)), stop }
    }

    /// The longest time that any one branch was seen in doubt.
    pub async fn stop(self) -> Duration {
        drop(self.stop);
        self.task.await.unwrap_or_default()
    }
}

async fn look(banks: Arc<[Bank; 2]>, mut stopped: oneshot::Receiver<()>) -> Duration {
    let mut since: [BTreeMap<String, Instant>; 2] = Default::default();
    let mut longest = Duration::ZERO;
    loop {
        for (bank, since) in banks.iter().zip(&mut since) {
            // A bank that cannot be asked is dead: what was in doubt there still is.
            let Ok(now_there) = bank.in_doubt().await else { continue };
            since.retain(|branch, since| {
                longest = longest.max(since.elapsed());
                now_there.contains(branch)
            });
            for branch in now_there {
                since.entry(branch).or_insert_with(Instant::now);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(BETWEEN_LOOKS) => {}
            _ = &mut stopped => break,
        }
    }
    let still = since.iter().flat_map(BTreeMap::values).map(Instant::elapsed);
    still.fold(longest, Duration::max)
}
