//! Which run belongs to which gid, for those that are open.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use handfast_core::id::RunId;

/// Open runs. Bounded: one more than `open_max` is refused.
pub(super) struct Runs {
    /// The epoch of this start of the node.
    pub(super) epoch: u32,
    last: AtomicU64,
    open_max: usize,
    open: Mutex<BTreeMap<RunId, Arc<str>>>,
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
        open.insert(run, Arc::clone(gid));
        Some(run)
    }

    pub(super) fn insert(&self, run: RunId, gid: Arc<str>) {
        self.lock().insert(run, gid);
    }

    pub(super) fn gid(&self, run: RunId) -> Option<Arc<str>> {
        self.lock().get(&run).cloned()
    }

    pub(super) fn remove(&self, run: RunId) {
        self.lock().remove(&run);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<str>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
