//! What a shard knows: saved, and live.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    vec,
    vec::Vec,
};
use serde::{Deserialize, Serialize};

use super::{Locks, Mode, Record, Snapshot};
use crate::{
    id::{BranchId, Cluster, RequestId},
    work::{KeyOp, Param, Rows, Value},
};

/// Most finished branches that are remembered one by one.
pub const FINISHED_MAX: usize = 100_000;
/// Most clusters of which branches can have been forgotten.
pub const CLUSTERS_MAX: usize = 256;

/// What survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// What the keys hold: committed values only.
    pub keys: BTreeMap<String, Value>,
    /// Branches in doubt, each with its locks.
    pub prepared: BTreeMap<BranchId, Prepared>,
    /// Branches that are over.
    pub finished: Finished,
}

/// What a branch leaves: the value of each key it writes, none for a removed key.
pub type Writes = BTreeMap<String, Option<Value>>;

/// What a branch did, as it will be if it commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// What it writes; the keys are locked exclusively.
    pub writes: Writes,
    /// Keys it only read; locked shared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// What each `get` returned, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<(String, Option<Value>)>,
}

impl Prepared {
    /// The locks it holds.
    pub fn locks(&self) -> impl Iterator<Item = (&str, Mode)> {
        let writes = self.writes.keys().map(|key| (key.as_str(), Mode::Exclusive));
        writes.chain(self.reads.iter().map(|key| (key.as_str(), Mode::Shared)))
    }

    /// What it returned, as one table; no table if it has no `get`.
    pub(super) fn rows(&self) -> Vec<Rows> {
        if self.returned.is_empty() {
            return Vec::new();
        }
        let param = |value: &Option<Value>| match value {
            None => Param::Null,
            Some(Value::Int(int)) => Param::Int(*int),
            Some(Value::Bytes(bytes)) => Param::Bytes(bytes.clone()),
        };
        let row = |(key, value): &(String, _)| vec![Param::Text(key.clone()), param(value)];
        let columns = vec!["key".into(), "value".into()];
        vec![Rows { columns, rows: self.returned.iter().map(row).collect() }]
    }
}

/// How a branch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Committed.
    Committed,
    /// Aborted.
    Aborted,
}

/// Branches that are over: the newest [`FINISHED_MAX`] one by one, and below them a floor.
///
/// The floor of a cluster is the latest run that was pruned. A branch not known here whose run is
/// not above it may have been one of the forgotten, so it is never prepared: without that, a
/// doubled prepare that comes very late could do a transfer twice. When [`CLUSTERS_MAX`] clusters
/// have a floor, branches of any other count as below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    ends: BTreeMap<BranchId, End>,
    oldest_first: VecDeque<BranchId>,
    floors: BTreeMap<Cluster, BranchId>,
}

impl Finished {
    /// How the branch ended, if it is remembered.
    pub fn end(&self, branch: &BranchId) -> Option<End> {
        self.ends.get(branch).copied()
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
        self.ends.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The first end of a branch is its end for ever.
    fn add(&mut self, branch: &BranchId, end: End) {
        if self.ends.contains_key(branch) {
            return;
        }
        self.ends.insert(branch.clone(), end);
        self.oldest_first.push_back(branch.clone());
        if self.ends.len() > FINISHED_MAX {
            let pruned = self.oldest_first.pop_front().expect("as many as ends");
            self.ends.remove(&pruned);
            self.raise_floor(pruned);
        }
    }

    fn raise_floor(&mut self, pruned: BranchId) {
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

impl Saved {
    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Loaded { keys } => {
                self.keys.extend(keys.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            Record::Prepared { branch, prepared } => {
                self.prepared.insert(branch.clone(), prepared.clone());
            }
            Record::Committed { branch } => {
                for (key, value) in self.prepared.remove(branch).unwrap_or_default().writes {
                    match value {
                        Some(value) => self.keys.insert(key, value),
                        None => self.keys.remove(&key),
                    };
                }
                self.finished.add(branch, End::Committed);
            }
            Record::Aborted { branch } => {
                self.prepared.remove(branch);
                self.finished.add(branch, End::Aborted);
            }
            Record::Snapshot(snapshot) => *self = Self::from(snapshot),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let finished = self.finished.oldest_first.iter();
        Snapshot {
            keys: self.keys.clone(),
            prepared: self.prepared.clone(),
            finished: finished.map(|b| (b.clone(), self.finished.ends[b])).collect(),
            floors: self.finished.floors.values().cloned().collect(),
        }
    }
}

impl From<&Snapshot> for Saved {
    fn from(snapshot: &Snapshot) -> Self {
        let mut finished = Finished::default();
        for floor in &snapshot.floors {
            finished.raise_floor(floor.clone());
        }
        for (branch, end) in &snapshot.finished {
            finished.add(branch, *end);
        }
        let (keys, prepared) = (snapshot.keys.clone(), snapshot.prepared.clone());
        Self { keys, prepared, finished }
    }
}

/// What a crash forgets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// The row locks, of prepared and of waiting branches.
    pub locks: Locks,
    /// Branches that wait for a lock.
    pub waiting: BTreeMap<BranchId, Waiting>,
    /// Branches whose coordinator is asked what it decided, and how often it has not said.
    pub inquiries: BTreeMap<BranchId, u32>,
}

/// A branch that has not all of its locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who wants its vote.
    pub requests: Vec<RequestId>,
    /// What it will do.
    pub ops: Vec<KeyOp>,
    /// Its locks, in the order of the keys.
    pub wants: Vec<(String, Mode)>,
    /// How many of them it has; it stands in the queue of the next.
    pub held: usize,
}
