//! What a shard remembers of runs that are over, and for how long.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use crate::id::{BranchId, Cluster};

/// Most branches that are remembered one by one.
pub const FINISHED_MAX: usize = 100_000;
/// Most clusters of which branches can have been forgotten.
pub const CLUSTERS_MAX: usize = 256;

/// Something about branches: the newest [`FINISHED_MAX`] one by one, and below them a floor.
///
/// The floor of a cluster is the latest run that was pruned. A branch not known here whose run is
/// not above it may have been one of the forgotten. When [`CLUSTERS_MAX`] clusters have a floor,
/// branches of any other count as below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remembered<V> {
    of: BTreeMap<BranchId, V>,
    oldest_first: VecDeque<BranchId>,
    floors: BTreeMap<Cluster, BranchId>,
}

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Self { of: BTreeMap::new(), oldest_first: VecDeque::new(), floors: BTreeMap::new() }
    }
}

impl<V> Remembered<V> {
    /// What is remembered of this branch.
    pub fn get(&self, branch: &BranchId) -> Option<&V> {
        self.of.get(branch)
    }

    /// Whether a branch that is not known here may have been pruned.
    pub fn may_be_forgotten(&self, branch: &BranchId) -> bool {
        match self.floors.get(&branch.cluster) {
            Some(floor) => branch.run <= floor.run,
            None => self.floors.len() >= CLUSTERS_MAX,
        }
    }

    /// How many are remembered one by one.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// All that are remembered one by one, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&BranchId, &V)> {
        self.oldest_first.iter().map(|branch| (branch, &self.of[branch]))
    }

    /// For each cluster the latest run that was forgotten.
    pub(super) fn floors(&self) -> Vec<BranchId> {
        self.floors.values().cloned().collect()
    }

    pub(super) fn get_mut(&mut self, branch: &BranchId) -> Option<&mut V> {
        self.of.get_mut(branch)
    }

    /// Remembers what was not known; what is known stays as it is.
    pub(super) fn add(&mut self, branch: &BranchId, value: V) {
        if self.of.contains_key(branch) {
            return;
        }
        self.of.insert(branch.clone(), value);
        self.oldest_first.push_back(branch.clone());
        if self.of.len() > FINISHED_MAX {
            let pruned = self.oldest_first.pop_front().expect("as many as in the map");
            self.of.remove(&pruned);
            self.raise_floor(pruned);
        }
    }

    pub(super) fn raise_floor(&mut self, pruned: BranchId) {
        let is_full = self.floors.len() >= CLUSTERS_MAX;
        match self.floors.get_mut(&pruned.cluster) {
            Some(floor) if floor.run < pruned.run => *floor = pruned,
            Some(_) => {}
            None if is_full => {}
            None => {
                self.floors.insert(pruned.cluster.clone(), pruned);
            }
        }
    }
}
