//! Which run belongs to which gid, for those that are open.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use handfast_core::{id::RunId, transaction::Index};

use super::metrics::Outcome;
use crate::driver::{Armed, now_ms};

/// Open runs. Bounded: one more than `open_max` is refused.
pub(super) struct Runs {
    /// The epoch of this start of the node.
    pub(super) epoch: u32,
    last: AtomicU64,
    open_max: usize,
    open: Mutex<BTreeMap<RunId, Open>>,
}

/// What this process knows of a run.
pub(super) struct Open {
    gid: Arc<str>,
    since: Instant,
    /// Ends its wait for votes; none if it began before this process, or not at all.
    pub(super) votes: Option<Armed>,
    /// Ends its wait for peers.
    pub(super) lead: Option<Armed>,
    /// A branch voted no, or was lost.
    is_refused: bool,
    decided: Option<Outcome>,
    /// When a branch is told again, in milliseconds since 1970.
    next_tries: BTreeMap<Index, u64>,
}

impl Open {
    fn new(gid: Arc<str>) -> Self {
        Self {
            gid,
            since: Instant::now(),
            votes: None,
            lead: None,
            is_refused: false,
            decided: None,
            next_tries: BTreeMap::new(),
        }
    }

    /// How it came out and how long it took, of one that began here and has finished; and whether
    /// it was told to have been decided before.
    pub(super) fn finished(&self) -> Option<(Outcome, Duration, bool)> {
        // Without a branch to be told, the votes were the decision.
        let by_votes = if self.is_refused { Outcome::Aborted } else { Outcome::Committed };
        self.votes.as_ref()?;
        Some((self.decided.unwrap_or(by_votes), self.since.elapsed(), self.decided.is_some()))
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
        open.insert(run, Open::new(Arc::clone(gid)));
        Some(run)
    }

    pub(super) fn insert(&self, run: RunId, gid: Arc<str>) {
        self.lock().insert(run, Open::new(gid));
    }

    pub(super) fn gid(&self, run: RunId) -> Option<Arc<str>> {
        self.lock().get(&run).map(|open| Arc::clone(&open.gid))
    }

    /// Keeps a run's timer for votes, so that it can be disarmed at the end.
    pub(super) fn keep_votes_timer(&self, run: RunId, votes: Armed) {
        if let Some(open) = self.lock().get_mut(&run) {
            open.votes = Some(votes);
        }
    }

    /// The same of its timer for peers; one before it is over.
    pub(super) fn keep_lead_timer(&self, run: RunId, lead: Armed) {
        if let Some(open) = self.lock().get_mut(&run) {
            open.lead = Some(lead);
        }
    }

    /// A branch will not be prepared, or was not.
    pub(super) fn refused(&self, run: RunId) {
        if let Some(open) = self.lock().get_mut(&run) {
            open.is_refused = true;
        }
    }

    /// The decision goes out. How long it took, the first time that a run which began here is told.
    pub(super) fn decided(&self, run: RunId, outcome: Outcome) -> Option<Duration> {
        let mut open = self.lock();
        let open = open.get_mut(&run).filter(|open| open.votes.is_some())?;
        open.decided.replace(outcome).is_none().then(|| open.since.elapsed())
    }

    /// A branch will be told again.
    pub(super) fn tried_again_at(&self, run: RunId, branch: Index, at_ms: u64) {
        if let Some(open) = self.lock().get_mut(&run) {
            open.next_tries.insert(branch, at_ms);
        }
    }

    /// When a branch is told again, if it waits for that.
    pub(super) fn next_try_ms(&self, run: RunId, branch: Index) -> Option<u64> {
        let at_ms = self.lock().get(&run)?.next_tries.get(&branch).copied();
        at_ms.filter(|at_ms| *at_ms > now_ms())
    }

    /// Forgets a run.
    pub(super) fn remove(&self, run: RunId) -> Option<Open> {
        self.lock().remove(&run)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
