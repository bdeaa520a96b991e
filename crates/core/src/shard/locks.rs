//! Row locks: shared or exclusive, with a fair queue for each key.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::String,
    vec::Vec,
};

use crate::id::BranchId;

/// How a key is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Others may read too.
    Shared,
    /// Nobody else.
    Exclusive,
}

/// The locked keys. A key that nobody holds has no entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locks(BTreeMap<String, Lock>);

/// Invariant: the first of the queue, if any, cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Lock {
    mode: Mode,
    holders: BTreeSet<BranchId>,
    queue: VecDeque<(BranchId, Mode)>,
}

impl Locks {
    /// Gives the lock or puts the branch into its queue; true if given. First come, first served:
    /// a reader does not overtake a writer that waits.
    ///
    /// A branch must ask once for each key, with the strongest mode it needs.
    pub fn take(&mut self, key: &str, mode: Mode, branch: &BranchId) -> bool {
        let Some(lock) = self.0.get_mut(key) else {
            let holders = BTreeSet::from([branch.clone()]);
            self.0.insert(key.into(), Lock { mode, holders, queue: VecDeque::new() });
            return true;
        };
        lock.queue.push_back((branch.clone(), mode));
        // By the invariant nobody before it is given the lock here.
        !lock.grant().is_empty()
    }

    /// Takes a held lock back; answers who has it now that had to wait.
    pub fn release(&mut self, key: &str, branch: &BranchId) -> Vec<BranchId> {
        self.change(key, |lock| {
            lock.holders.remove(branch);
        })
    }

    /// Takes a branch out of the queue; answers who has the lock now that had to wait.
    pub fn leave(&mut self, key: &str, branch: &BranchId) -> Vec<BranchId> {
        self.change(key, |lock| lock.queue.retain(|(waiting, _)| waiting != branch))
    }

    /// Whether anybody holds the key.
    pub fn is_locked(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Every lock that is held, with its holders.
    pub fn held(&self) -> impl Iterator<Item = (&str, Mode, &BTreeSet<BranchId>)> {
        self.0.iter().map(|(key, lock)| (key.as_str(), lock.mode, &lock.holders))
    }

    fn change(&mut self, key: &str, change: impl FnOnce(&mut Lock)) -> Vec<BranchId> {
        let Some(lock) = self.0.get_mut(key) else { return Vec::new() };
        change(lock);
        let granted = lock.grant();
        if lock.holders.is_empty() {
            self.0.remove(key);
        }
        granted
    }
}

impl Lock {
    /// Gives the lock to the first in the queue, and on, while they agree.
    fn grant(&mut self) -> Vec<BranchId> {
        let mut granted = Vec::new();
        while let Some((_, mode)) = self.queue.front() {
            let shared = self.mode == Mode::Shared && *mode == Mode::Shared;
            if !self.holders.is_empty() && !shared {
                break;
            }
            let (branch, mode) = self.queue.pop_front().expect("it was just seen");
            self.mode = mode;
            self.holders.insert(branch.clone());
            granted.push(branch);
        }
        granted
    }
}
