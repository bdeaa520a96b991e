//! Which branches this process works on or holds, and which it must never work on again.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use handfast_core::id::BranchId;
use tokio::sync::watch;

/// How many used branch ids are remembered. A call that is older than so many others is not
/// recognised as late any more; calls of one process do not linger that long.
const SEEN_MAX: usize = 16_384;

/// The branches of one resource, with sessions of type `S`.
pub(crate) struct Branches<S>(Mutex<Known<S>>);

struct Known<S> {
    active: HashMap<BranchId, Active<S>>,
    seen: HashSet<BranchId>,
    oldest_first: VecDeque<BranchId>,
}

/// What this process does with a branch right now.
pub(crate) enum Active<S> {
    /// A prepare or hold is running. `true` tells it to stop; closed once it has stopped.
    Working(Arc<watch::Sender<bool>>),
    /// Worked, its session kept for the commit.
    Held(S),
    /// The commit on its session is running.
    Committing,
}

/// The right to work on a branch; given up when dropped.
pub(crate) struct Working<'a, S> {
    branches: &'a Branches<S>,
    branch: &'a BranchId,
    stop: watch::Receiver<bool>,
}

/// The right to commit a held branch; given up when dropped.
pub(crate) struct Committing<'a, S> {
    branches: &'a Branches<S>,
    branch: &'a BranchId,
}

impl<S> Default for Branches<S> {
    fn default() -> Self {
        let known =
            Known { active: HashMap::new(), seen: HashSet::new(), oldest_first: VecDeque::new() };
        Self(Mutex::new(known))
    }
}

impl<S> Branches<S> {
    /// Starts work on a branch. `None` if it was worked on or aborted before.
    pub(crate) fn start<'a>(&'a self, branch: &'a BranchId) -> Option<Working<'a, S>> {
        let mut known = self.lock();
        if !known.remember(branch) {
            return None;
        }
        let (tell, stop) = watch::channel(false);
        known.active.insert(branch.clone(), Active::Working(Arc::new(tell)));
        Some(Working { branches: self, branch, stop })
    }

    /// Forbids any later work on a branch, and takes what is to be undone of it. Work that is
    /// running is told to stop, and stays listed until it has.
    pub(crate) fn forbid(&self, branch: &BranchId) -> Option<Active<S>> {
        let mut known = self.lock();
        known.remember(branch);
        match known.active.remove(branch)? {
            Active::Held(session) => Some(Active::Held(session)),
            Active::Committing => {
                known.active.insert(branch.clone(), Active::Committing);
                Some(Active::Committing)
            }
            Active::Working(tell) => {
                // Told under the lock, so that `Working::hold` cannot slip by.
                tell.send_replace(true);
                known.active.insert(branch.clone(), Active::Working(tell.clone()));
                Some(Active::Working(tell))
            }
        }
    }

    /// Takes a held branch to commit it. `Err` if somebody else is at it; `Ok(None)` if it is not
    /// held here.
    pub(crate) fn commit<'a>(
        &'a self,
        branch: &'a BranchId,
    ) -> Result<Option<(S, Committing<'a, S>)>, ()> {
        let mut known = self.lock();
        match known.active.remove(branch) {
            None => Ok(None),
            Some(Active::Held(session)) => {
                known.active.insert(branch.clone(), Active::Committing);
                Ok(Some((session, Committing { branches: self, branch })))
            }
            Some(busy) => {
                known.active.insert(branch.clone(), busy);
                Err(())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known<S>> {
        // Every change below is whole before anything that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Known<S> {
    /// False if it was known already.
    fn remember(&mut self, branch: &BranchId) -> bool {
        if !self.seen.insert(branch.clone()) {
            return false;
        }
        self.oldest_first.push_back(branch.clone());
        if self.oldest_first.len() > SEEN_MAX {
            let oldest = self.oldest_first.pop_front().expect("longer than the bound");
            self.seen.remove(&oldest);
        }
        true
    }
}

impl<S> Working<'_, S> {
    /// Returns when somebody aborts the branch.
    pub(crate) async fn stopped(&mut self) {
        // The sender is in the list until this guard is dropped, so it cannot be gone.
        drop(self.stop.wait_for(|stop| *stop).await);
    }

    /// Keeps the session for the commit; gives it back if the branch was told to abort meanwhile.
    pub(crate) fn hold(self, session: S) -> Result<(), S> {
        let mut known = self.branches.lock();
        if *self.stop.borrow() {
            return Err(session);
        }
        known.active.insert(self.branch.clone(), Active::Held(session));
        Ok(())
    }
}

impl<S> Drop for Working<'_, S> {
    fn drop(&mut self) {
        let mut known = self.branches.lock();
        if matches!(known.active.get(self.branch), Some(Active::Working(_))) {
            known.active.remove(self.branch);
        }
    }
}

impl<S> Drop for Committing<'_, S> {
    fn drop(&mut self) {
        self.branches.lock().active.remove(self.branch);
    }
}
