//! What is said to, by and about a shard: inputs, records, effects, answers.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{End, Prepared};
use crate::{
    id::{BranchId, RequestId},
    kind_first::records,
    pact::{
        Message, Pact, Peer,
        paxos::{Acceptor, Ballot, Proposal},
    },
    vote::{Ack, Vote},
    work::{KeyOp, Rows, Value},
};

/// What happens to a shard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// A coordinator wants a branch worked and prepared.
    Prepare {
        /// Who gets the vote.
        request: RequestId,
        /// Which branch.
        branch: BranchId,
        /// Its operations, in order; each sees those before it.
        ops: Vec<KeyOp>,
        /// Longest wait for its locks, in ms; at most `LOCK_WAIT_MS`.
        lock_wait_ms: u64,
        /// What it must know to be decided without the coordinator.
        pact: Option<Pact>,
    },
    /// A coordinator decided commit.
    Commit {
        /// Who gets the acknowledgement.
        request: RequestId,
        /// Which branch.
        branch: BranchId,
    },
    /// A coordinator decided abort.
    Abort {
        /// Who gets the acknowledgement.
        request: RequestId,
        /// Which branch.
        branch: BranchId,
    },
    /// An operator sets initial values, outside of any transaction.
    Load {
        /// Who gets the answer.
        request: RequestId,
        /// What to write.
        keys: BTreeMap<String, Value>,
    },
    /// The coordinator answered an inquiry, or could not be asked.
    Answered {
        /// About which branch.
        branch: BranchId,
        /// What it said.
        answer: Inquired,
    },
    /// A timer that was armed is over.
    Fired(Timer),
    /// A peer says something about a run with a pact.
    Received {
        /// What.
        message: Message,
    },
}

/// What became of an inquiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inquired {
    /// The decision is commit.
    Commit,
    /// The decision is abort, or there never will be one.
    Abort,
    /// Not decided yet.
    Pending,
    /// No answer, or none that could be read.
    Silent,
}

/// A timer of a shard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Ends a branch's wait for locks.
    LockWait(BranchId),
    /// Waits before the coordinator is asked again.
    Inquire(BranchId),
    /// Waits for those with whom a branch with a pact is decided.
    Lead(BranchId),
}

records! {
    /// What a shard promises. In the log as JSON with the kind as tag.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Record {
        /// Initial values were written.
        Loaded {
            /// What.
            keys: BTreeMap<String, Value>,
        },
        /// A branch can commit or abort as told, for ever.
        Prepared {
            /// Which.
            branch: BranchId,
            /// What it did.
            #[serde(flatten)]
            prepared: Prepared,
        },
        /// A prepared branch was committed: its writes are what the keys hold.
        Committed {
            /// Which.
            branch: BranchId,
        },
        /// A branch was aborted, prepared or not, and can never be prepared.
        Aborted {
            /// Which.
            branch: BranchId,
        },
        /// Three-phase: all members of this prepared branch's run voted yes.
        PreCommitted {
            /// Which.
            branch: BranchId,
        },
        /// Paxos, as leader for this branch: this ballot was used, and is never used again.
        Claimed {
            /// Which branch.
            branch: BranchId,
            /// Which ballot.
            ballot: Ballot,
        },
        /// Paxos, as acceptor: nothing below this ballot is accepted any more.
        Promised {
            /// The run, named by its first branch.
            first: BranchId,
            /// Which ballot.
            ballot: Ballot,
        },
        /// Paxos, as acceptor: accepted, for all branches of a run at once.
        Accepted {
            /// The run, named by its first branch.
            first: BranchId,
            /// What, and in which ballot.
            proposal: Proposal,
        },
        /// All of the above.
        Snapshot(Snapshot),
    }
}

/// Everything a shard has saved, in one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// What the keys hold.
    pub keys: BTreeMap<String, Value>,
    /// Branches in doubt.
    pub prepared: BTreeMap<BranchId, Prepared>,
    /// Branches remembered, oldest first.
    pub finished: Vec<(BranchId, End)>,
    /// For each cluster the latest run that was forgotten.
    pub floors: Vec<BranchId>,
    /// Paxos: what was promised as acceptor, by run, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acceptors: Vec<(BranchId, Acceptor)>,
    /// For each cluster the latest of those that was forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acceptor_floors: Vec<BranchId>,
}

/// What a shard asks the outside to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Answer a caller.
    Reply {
        /// Whom.
        request: RequestId,
        /// What.
        answer: Answer,
    },
    /// Give `Fired(timer)` after this time.
    Arm {
        /// Which.
        timer: Timer,
        /// After how long.
        after_ms: u64,
    },
    /// Ask the coordinator what was decided; answer with `Answered`.
    Inquire {
        /// About which branch.
        branch: BranchId,
    },
    /// Tell a peer; it may be lost.
    Send {
        /// Whom.
        to: Peer,
        /// What.
        message: Message,
    },
}

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// To a prepare.
    Voted {
        /// Yes, no with its reason, or read-only.
        vote: Vote,
        /// What the branch read: one row of `key` and `value` for each `get`, in order.
        rows: Vec<Rows>,
    },
    /// To a commit or abort.
    Acked(Ack),
    /// To a commit: it was finished so long ago that nobody knows how, or it never was here.
    Forgotten,
    /// To a load: how many keys were written.
    Loaded(usize),
    /// To a load: this key is locked by a branch; nothing was written.
    Locked(String),
    /// Too many wait for this branch's vote already. It may be prepared all the same.
    Busy,
}
