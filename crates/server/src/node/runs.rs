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
    timers: Vec<(Timer, Armed)>,
    attempts: Attempts,
}

impl Open {
    fn new(gid: Arc<str>, is_ours: bool) -> Self {
        Self {
            gid,
            since: Instant::now(),
            is_ours,
            has_begun: false,
            decided: None,
            timers: Vec::new(),
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
        self.timers.iter().map(|(_, armed)| *armed)
    }

    fn keep_timer(&mut self, timer: Timer, armed: Armed) -> Option<Armed> {
        if let Some((_, kept)) = self.timers.iter_mut().find(|(kept, _)| *kept == timer) {
            return Some(std::mem::replace(kept, armed));
        }
        if self.timers.is_empty() {
            self.timers.reserve_exact(1);
        }
        self.timers.push((timer, armed));
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
    pub(super) fn keep_timer(&self, run: RunId, timer: Timer, armed: Armed) -> Option<Armed> {
        match self.lock().get_mut(&run) {
            Some(open) => {
                open.has_begun = true;
                open.keep_timer(timer, armed)
            }
            None => Some(armed),
        }
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
        if let Some(open) = self.lock().get_mut(&run) {
            open.has_begun = true;
            open.attempts.asked(branch, call);
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
        let (_, armed) = open.get(&run)?.timers.iter().find(|(timer, _)| *timer == wanted)?;
        let left_ms = u64::try_from(armed.left().as_millis()).ok()?;
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
