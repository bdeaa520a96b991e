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

    fn see(&self, saved: &Saved) {
        let mut since = self.lock();
        since.retain(|branch, _| saved.prepared.contains_key(branch));
        for branch in saved.prepared.keys() {
            since.entry(branch.clone()).or_insert_with(now_ms);
        }
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
