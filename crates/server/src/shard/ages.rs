//! Since when each branch is in doubt.
//!
//! The shard's machine knows no clock. So its books are looked at every now and then; and after a
//! restart the log tells.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use handfast_core::{
    id::BranchId,
    shard::{Record, Saved},
};
use handfast_log::Entry;

use super::Shared;
use crate::driver::{NotTaken, now_ms};

/// Between two looks; ages are short by that much at most.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// When branches were first seen prepared, in milliseconds since 1970. As many as are in doubt.
#[derive(Default)]
pub(super) struct Ages(Mutex<BTreeMap<BranchId, u64>>);

impl Ages {
    /// What a shard's records tell. A snapshot does not say since when: since it at the latest.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut since = BTreeMap::new();
        for entry in entries {
            // What makes no sense is found by those whose business it is.
            match serde_json::from_str(&entry.body) {
                Ok(Record::Prepared { branch, .. }) => drop(since.insert(branch, entry.at_ms)),
                Ok(Record::Committed { branch } | Record::Aborted { branch }) => {
                    since.remove(&branch);
                }
                Ok(Record::Snapshot(snapshot)) => {
                    for branch in snapshot.prepared.into_keys() {
                        since.entry(branch).or_insert(entry.at_ms);
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
        Self(Mutex::new(since))
    }

    /// How long a branch that is prepared now has been, in milliseconds.
    pub(super) fn age_ms(&self, branch: &BranchId) -> u64 {
        self.lock().get(branch).map_or(0, |since| now_ms().saturating_sub(*since))
    }

    /// Runs on the partition's thread, so it only walks: both books are in the order of branches.
    /// What is in doubt for long does not change, and then costs nothing but the comparison.
    fn see(&self, saved: &Saved) {
        let mut since = self.lock();
        if since.keys().eq(saved.prepared.keys()) {
            return;
        }
        let now_ms = now_ms();
        let mut seen = std::mem::take(&mut *since).into_iter().peekable();
        let prepared = saved.prepared.keys().map(|branch| {
            while seen.next_if(|(other, _)| other < branch).is_some() {}
            let same = seen.next_if(|(other, _)| other == branch);
            same.unwrap_or_else(|| (branch.clone(), now_ms))
        });
        *since = prepared.collect();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BranchId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks until the partition ends.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let seeing = Arc::clone(&shared);
        match shared.look(move |saved, _| seeing.ages.see(saved)).await {
            Err(NotTaken::Stopped) => return,
            Ok(()) | Err(NotTaken::Full) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use handfast_core::{
        id::{Cluster, RunId},
        shard::Prepared,
    };

    use super::*;

    #[test]
    fn a_branch_keeps_its_age_for_as_long_as_it_is_prepared() {
        let cluster = Cluster::new("us").expect("a name");
        let branch = |number| {
            let run = RunId { epoch: 1, number };
            BranchId { cluster: cluster.clone(), run, index: 0 }
        };
        let ages = Ages::default();
        let see = |numbers: &[u64]| {
            let mut saved = Saved::default();
            saved.prepared.extend(numbers.iter().map(|at| (branch(*at), Prepared::default())));
            ages.see(&saved);
            let known: Vec<_> = ages.lock().keys().map(|branch| branch.run.number).collect();
            assert_eq!(known, numbers);
        };
        see(&[2, 4, 6]);
        ages.lock().values_mut().for_each(|since| *since = 0);
        // Some go, some come: before, between and behind those that stay.
        for numbers in [&[1, 2, 3, 5, 6, 7][..], &[1, 2, 3, 5, 6, 7], &[2, 6, 9], &[2, 6, 9]] {
            see(numbers);
            let old = [2, 6].map(|at| ages.lock()[&branch(at)]);
            assert_eq!((old, ages.age_ms(&branch(9)) < 60_000), ([0, 0], true));
        }
        see(&[]);
    }
}
