//! What a shard knows: saved, and live.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec,
    vec::Vec,
};
use serde::{Deserialize, Serialize};

use super::{Locks, Mode, Record, Remembered, Snapshot};
use crate::{
    id::{BranchId, RequestId},
    pact::{
        Pact,
        asking::Asking,
        paxos::{Acceptor, Ballot, Change, Leader},
        three_phase::{Stage, Termination},
    },
    transaction::Index,
    work::{KeyOp, Param, Rows, Value},
};

/// What survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Saved {
    /// What the keys hold: committed values only.
    pub keys: BTreeMap<String, Value>,
    /// Branches in doubt, each with its locks.
    pub prepared: BTreeMap<BranchId, Prepared>,
    /// Branches that are over.
    pub finished: Finished,
    /// Paxos: what it promised as acceptor.
    pub acceptors: Acceptors,
}

/// What a branch leaves: the value of each key it writes, none for a removed key.
pub type Writes = BTreeMap<String, Option<Value>>;

/// What a branch did, as it will be if it commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Prepared {
    /// What it writes; the keys are locked exclusively.
    pub writes: Writes,
    /// Keys it only read; locked shared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// What each `get` returned, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<(String, Option<Value>)>,
    /// How it is decided without the coordinator, if it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pact: Option<Pact>,
    /// Paxos: the highest ballot that this branch used as leader.
    #[serde(default, skip_serializing_if = "Ballot::is_first")]
    pub claimed: Ballot,
    /// Three-phase: it knows that all voted yes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub precommitted: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Prepared {
    /// The locks it holds.
    pub fn locks(&self) -> impl Iterator<Item = (&str, Mode)> {
        let writes = self.writes.keys().map(|key| (key.as_str(), Mode::Exclusive));
        writes.chain(self.reads.iter().map(|key| (key.as_str(), Mode::Shared)))
    }

    pub(super) fn stage(&self) -> Stage {
        if self.precommitted { Stage::PreCommitted } else { Stage::Prepared }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Committed.
    Committed,
    /// Aborted.
    Aborted,
}

/// Branches that are over. The first end of a branch is its end for ever.
///
/// One that may have been forgotten is never prepared: without that, a doubled prepare that comes
/// very late could do a transfer twice.
pub type Finished = Remembered<End>;

impl Finished {
    /// How the branch ended, if it is remembered.
    pub fn end(&self, branch: &BranchId) -> Option<End> {
        self.get(branch).copied()
    }
}

/// Paxos: what this shard promised as acceptor, by run, named by its first branch.
///
/// A run that may have been forgotten is not answered for any more, which is as if this acceptor
/// were dead: it never accepts anew what it had promised not to.
pub type Acceptors = Remembered<Acceptor>;

impl Acceptors {
    /// What was promised for a run; `None` if that may have been forgotten.
    pub(super) fn of(&self, first: &BranchId) -> Option<Acceptor> {
        match self.get(first) {
            Some(acceptor) => Some(*acceptor),
            None => (!self.may_be_forgotten(first)).then(Acceptor::default),
        }
    }

    fn change(&mut self, first: &BranchId, change: Change) {
        self.add(first, Acceptor::default());
        if let Some(acceptor) = self.get_mut(first) {
            acceptor.apply(change);
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
            Record::PreCommitted { branch } => {
                if let Some(prepared) = self.prepared.get_mut(branch) {
                    prepared.precommitted = true;
                }
            }
            Record::Claimed { branch, ballot } => {
                if let Some(prepared) = self.prepared.get_mut(branch) {
                    prepared.claimed = prepared.claimed.max(*ballot);
                }
            }
            Record::Promised { first, ballot } => {
                self.acceptors.change(first, Change::Promised(*ballot));
            }
            Record::Accepted { first, proposal } => {
                self.acceptors.change(first, Change::Accepted(*proposal));
            }
            Record::Snapshot(snapshot) => *self = Self::from(snapshot),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            keys: self.keys.clone(),
            prepared: self.prepared.clone(),
            finished: self.finished.iter().map(|(branch, end)| (branch.clone(), *end)).collect(),
            floors: self.finished.floors(),
            acceptors: self.acceptors.iter().map(|(first, one)| (first.clone(), *one)).collect(),
            acceptor_floors: self.acceptors.floors(),
        }
    }
}

impl From<&Snapshot> for Saved {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            keys: snapshot.keys.clone(),
            prepared: snapshot.prepared.clone(),
            finished: remembered(&snapshot.floors, &snapshot.finished),
            acceptors: remembered(&snapshot.acceptor_floors, &snapshot.acceptors),
        }
    }
}

fn remembered<V: Copy>(floors: &[BranchId], of: &[(BranchId, V)]) -> Remembered<V> {
    let mut remembered = Remembered::default();
    for floor in floors {
        remembered.raise_floor(floor.clone());
    }
    for (branch, value) in of {
        remembered.add(branch, *value);
    }
    remembered
}

/// What a crash forgets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Live {
    /// The row locks, of prepared and of waiting branches.
    pub locks: Locks,
    /// Branches that wait for a lock.
    pub waiting: BTreeMap<BranchId, Waiting>,
    /// Branches whose coordinator is asked what it decided.
    pub inquiries: BTreeMap<BranchId, Inquiry>,
    /// Paxos, as acceptor: who has voted yes, for runs (named by their first branch) of which not
    /// all have. Nothing is promised by it: what is lost is as if the messages were.
    pub bundles: BTreeMap<BranchId, BTreeSet<Index>>,
}

/// What a branch in doubt does to learn its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inquiry {
    /// How often the coordinator was asked and did not say.
    pub tries: u32,
    /// How often in a row it could not be asked.
    pub silent: u32,
    /// It was prepared before the last crash.
    pub is_recovering: bool,
    /// Three-phase: the member whose lead it follows.
    pub led_by: Option<Index>,
    /// Its own lead.
    pub lead: Option<Lead>,
    /// Whether the timer `Lead` runs.
    pub is_timed: bool,
    /// After how many firings of that timer the lead has waited for a whole period.
    pub firings: u8,
}

impl Inquiry {
    /// Three-phase: whether it leads the termination.
    pub(super) fn leads(&self) -> bool {
        matches!(self.lead, Some(Lead::ThreePhase(_))) && !self.is_recovering
    }

    /// Why nobody but an operator can end the branch, as far as is known.
    pub fn stuck(&self, pact: &Pact) -> Option<String> {
        match &self.lead {
            Some(Lead::Asking(asking)) => asking.stuck(pact),
            _ => None,
        }
    }
}

/// A branch that sets out to end the transaction without the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lead {
    /// As a leader of Paxos commit.
    Paxos(Leader),
    /// By the termination of three-phase commit.
    ThreePhase(Termination),
    /// Nobody can lead any more: the others are asked whether they know the end.
    Asking(Asking),
}

/// A branch that has not all of its locks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiting {
    /// Who wants its vote.
    pub requests: Vec<RequestId>,
    /// What it will do.
    pub ops: Vec<KeyOp>,
    /// Its locks, in the order of the keys.
    pub wants: Vec<(String, Mode)>,
    /// How many of them it has; it stands in the queue of the next.
    pub held: usize,
    /// How it will be decided without the coordinator, if it can be.
    pub pact: Option<Pact>,
}
