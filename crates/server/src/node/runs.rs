//! Which run belongs to which gid, for those that are open, and what this process knows of each.
//!
//! There may be hundreds of thousands, so what is kept of one is small.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use handfast_core::{
    id::RunId,
    transaction::{Index, Timer},
};

use super::{
    attempts::{Attempt, Attempts},
    metrics::{Call, Outcome},
    resource::Place,
};
use crate::driver::{Armed, now_ms};

/// Open runs. Bounded: one more than `open_max` is refused.
pub(super) struct Runs {
    /// The epoch of this start of the node.
    pub(super) epoch: u32,
    last: AtomicU64,
    open_max: usize,
    open: Mutex<HashMap<RunId, Open>>,
}

/// What this process knows of a run.
pub(super) struct Open {
    gid: Arc<str>,
    since: Instant,
    /// It was begun by this process. One that repeats a known gid never begins.
    is_ours: bool,
    has_begun: bool,
    decided: Option<Outcome>,
    /// Its timers that may still run; one of a kind.
    timers: Box<[Kept]>,
    attempts: Attempts,
}

/// A timer that was armed.
struct Kept {
    what: What,
    armed: Armed,
    /// Which resource is asked again when it is over.
    awaited: Option<Place>,
}

/// A timer whose run is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Votes,
    Retry(Index),
    Lead,
    Deadline,
}

impl From<Timer> for What {
    fn from(timer: Timer) -> Self {
        match timer {
            Timer::Votes(_) => Self::Votes,
            Timer::Retry(_, branch) => Self::Retry(branch),
            Timer::Lead(_) => Self::Lead,
            Timer::Deadline(_) => Self::Deadline,
        }
    }
}

impl What {
    fn of(self, run: RunId) -> Timer {
        match self {
            Self::Votes => Timer::Votes(run),
            Self::Retry(branch) => Timer::Retry(run, branch),
            Self::Lead => Timer::Lead(run),
            Self::Deadline => Timer::Deadline(run),
        }
    }
}

impl Open {
    fn new(gid: Arc<str>, is_ours: bool) -> Self {
        Self {
            gid,
            since: Instant::now(),
            is_ours,
            has_begun: false,
            decided: None,
            timers: Box::default(),
            attempts: Attempts::default(),
        }
    }

    /// Whether it began here, and so how long it took is known.
    pub(super) fn is_measured(&self) -> bool {
        self.is_ours && self.has_begun
    }

    /// The decision, if a branch was told it.
    pub(super) fn decided(&self) -> Option<Outcome> {
        self.decided
    }

    pub(super) fn took(&self) -> Duration {
        self.since.elapsed()
    }

    /// What has not been disarmed.
    pub(super) fn timers(&self) -> impl Iterator<Item = Armed> {
        self.timers.iter().map(|kept| kept.armed)
    }

    fn keep_timer(&mut self, timer: Kept) -> Option<Armed> {
        if let Some(kept) = self.timers.iter_mut().find(|kept| kept.what == timer.what) {
            return Some(std::mem::replace(kept, timer).armed);
        }
        let mut timers = std::mem::take(&mut self.timers).into_vec();
        timers.reserve_exact(1);
        timers.push(timer);
        self.timers = timers.into();
        None
    }
}

impl Runs {
    pub(super) fn new(epoch: u32, open_max: usize) -> Self {
        Self { epoch, last: AtomicU64::new(0), open_max, open: Mutex::default() }
    }

    /// Gives out a new run, or none if too many are open.
    pub(super) fn begin(&self, gid: &Arc<str>) -> Option<RunId> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let run = RunId { epoch: self.epoch, number };
        let mut open = self.lock();
        if open.len() >= self.open_max {
            return None;
        }
        open.insert(run, Open::new(Arc::clone(gid), true));
        Some(run)
    }

    /// One that began before this process.
    pub(super) fn insert(&self, run: RunId, gid: Arc<str>) {
        self.lock().insert(run, Open::new(gid, false));
    }

    pub(super) fn gid(&self, run: RunId) -> Option<Arc<str>> {
        self.lock().get(&run).map(|open| Arc::clone(&open.gid))
    }

    /// Keeps a run's timer, so that it can be disarmed at the end. Returns one to be disarmed: the
    /// one that it replaces, or itself if the run is over.
    pub(super) fn keep_timer(
        &self,
        run: RunId,
        timer: Timer,
        armed: Armed,
        awaited: Option<Place>,
    ) -> Option<Armed> {
        match self.lock().get_mut(&run) {
            Some(open) => {
                open.has_begun = true;
                open.keep_timer(Kept { what: timer.into(), armed, awaited })
            }
            None => Some(armed),
        }
    }

    /// What waits for a resource, each by the timer that ends its waiting.
    pub(super) fn waiting_for(&self, resource: Place) -> Vec<(Arc<str>, Timer)> {
        let is_for = |kept: &&Kept| kept.awaited == Some(resource) && !kept.armed.left().is_zero();
        let open = self.lock();
        let waiting = open.iter().flat_map(|(run, open)| {
            let timers = open.timers.iter().filter(is_for);
            timers.map(|kept| (Arc::clone(&open.gid), kept.what.of(*run)))
        });
        waiting.collect()
    }

    /// The decision goes out. How long it took, the first time that a run which began here is told.
    pub(super) fn decided(&self, run: RunId, outcome: Outcome) -> Option<Duration> {
        let mut open = self.lock();
        let open = open.get_mut(&run)?;
        let is_first = open.decided.replace(outcome).is_none();
        (is_first && open.is_measured()).then(|| open.took())
    }

    /// Whether it is decided, as far as anybody was told, or over.
    pub(super) fn is_decided(&self, run: RunId) -> bool {
        self.lock().get(&run).is_none_or(|open| open.decided.is_some())
    }

    /// A branch is asked.
    pub(super) fn asked(&self, run: RunId, branch: Index, call: Call) {
        let mut all = self.lock();
        let count = all.len();
        if let Some(open) = all.get_mut(&run) {
            open.has_begun = true;
            open.attempts.asked(branch, call, count);
        }
    }

    /// It answered, or is not waited for any more; `fault` if that is no success.
    pub(super) fn answered(
        &self,
        run: RunId,
        branch: Index,
        call: Call,
        took: Duration,
        fault: Option<&str>,
    ) {
        if let Some(open) = self.lock().get_mut(&run) {
            open.attempts.answered(branch, call, took, fault);
        }
    }

    /// What was asked lately, oldest first; nothing of a run that is not open.
    pub(super) fn attempts(&self, run: RunId) -> Vec<Attempt> {
        self.lock().get(&run).map(|open| open.attempts.all()).unwrap_or_default()
    }

    /// When a run began, or this process, if the run is older: in ms since 1970.
    pub(super) fn since_ms(&self, run: RunId) -> Option<u64> {
        let took_ms = self.lock().get(&run)?.took().as_millis();
        Some(now_ms().saturating_sub(u64::try_from(took_ms).ok()?))
    }

    /// When a timer of a run is over, in ms since 1970, if it runs.
    pub(super) fn due_ms(&self, run: RunId, wanted: Timer) -> Option<u64> {
        let open = self.lock();
        let kept = open.get(&run)?.timers.iter().find(|kept| kept.what == wanted.into())?;
        let left_ms = u64::try_from(kept.armed.left().as_millis()).ok()?;
        (left_ms > 0).then(|| now_ms() + left_ms)
    }

    /// Forgets a run.
    pub(super) fn remove(&self, run: RunId) -> Option<Open> {
        self.lock().remove(&run)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_run_takes_little_memory() {
        let sizes = (size_of::<Open>(), size_of::<Kept>());
        assert!(sizes.0 <= 72 && sizes.1 <= 32, "{sizes:?}");
    }
}
