//! What is said to, by and about a transaction: inputs, records, effects, answers.

use alloc::{string::String, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    id::{RequestId, RunId},
    kind_first::records,
    pact::{
        Message, Pact,
        paxos::{Ballot, Proposal},
    },
    plan::{Part, Plan, Planned, Terms},
    vote::{Ack, Cause, Proof, Refusal, Reply, Vote},
    work::Work,
};

/// A branch's place in its transaction, from 0.
pub type Index = u8;

/// What happens to a transaction.
///
/// Every answer and timer names its run; one that names another run than the current is late and
/// changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// A caller asks for it to be run, or asks again.
    Begin(Begin),
    /// A branch answered the prepare.
    Voted {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Its vote.
        vote: Vote,
        /// How it came by it; absent if nobody wants to know.
        tried: Option<Tried>,
    },
    /// A branch answered the decision.
    Acked {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Its answer.
        ack: Ack,
        /// How long the call took, in ms.
        took_ms: u64,
    },
    /// A service answered the do of a step, or the try of a reservation.
    Answered {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Its answer.
        reply: Reply,
        /// How long the call took, in ms.
        took_ms: u64,
    },
    /// A timer that was armed is over.
    Fired(Timer),
    /// A participant asks what was decided for a run.
    Inquired {
        /// Who gets the answer.
        request: RequestId,
        /// Which run.
        run: RunId,
    },
    /// The caller commits what it held.
    CommitAsked {
        /// Who gets the answer.
        request: RequestId,
    },
    /// The caller or an operator gives up.
    AbortAsked {
        /// Who gets the answer.
        request: RequestId,
        /// Why, and by whom.
        reason: String,
    },
    /// The caller of an open transaction adds a branch, or asks for it again.
    Add {
        /// Who gets the answer.
        request: RequestId,
        /// The branch.
        branch: BranchSpec,
    },
    /// An operator wants waiting branches to be tried now.
    RetryAsked {
        /// Who gets the answer.
        request: RequestId,
        /// Which; all if none is named.
        branch: Option<Index>,
    },
    /// An operator gives a branch other calls, and wants it tried now.
    Edit {
        /// Who gets the answer.
        request: RequestId,
        /// Which branch.
        branch: Index,
        /// Its calls from now on.
        work: Work,
        /// Whose outputs they use, in ascending order.
        uses: Vec<Index>,
        /// Why, and by whom.
        reason: String,
    },
    /// An operator declares a branch finished.
    Resolved {
        /// Who gets the answer.
        request: RequestId,
        /// Which branch.
        branch: Index,
        /// What the operator saw at the participant.
        committed: bool,
        /// Why, and by whom.
        reason: String,
    },
    /// A service was asked whether the caller's local transaction committed.
    AskedBack {
        /// Which run.
        run: RunId,
        /// Done: it has. Refused: it never will.
        reply: Reply,
    },
    /// A peer says something about a run with a pact.
    Received {
        /// What.
        message: Message,
    },
}

/// A whole transaction to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Begin {
    /// Who gets the answer.
    pub request: RequestId,
    /// The id of this run, should it start one; must never have been used before.
    pub run: RunId,
    /// What makes two requests with one gid the same.
    pub fingerprint: String,
    /// Its branches: 1 to 64, names different. The caller of the machine must have checked.
    pub branches: Vec<BranchSpec>,
    /// All must vote within this time, in ms.
    pub timeout_ms: u64,
    /// When this caller is answered.
    pub ack: AckWhen,
    /// Whether to wait for `CommitAsked` after the votes, still within `timeout_ms`.
    pub hold: bool,
    /// How it is decided without the coordinator, should it die; `None`: by the coordinator's log
    /// alone. Its run must be `run`, its members the branches' resources, and `hold` false.
    pub pact: Option<Pact>,
    /// What concerns the whole of its plan; `None` if all branches are plain ones that prepare.
    /// The `timeout_ms` and `hold` of the plan must be those of the run, and `pact` absent.
    pub terms: Option<Terms>,
}

/// A branch as asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchSpec {
    /// Its name within the transaction.
    pub name: String,
    /// Where it runs.
    pub resource: String,
    /// Whether the resource can commit in one phase, with proof.
    pub one_phase: bool,
    /// What it does.
    pub work: Work,
    /// When, and how patiently. Without terms: a plain branch that prepares.
    pub part: Part,
}

/// When a caller is answered "committed". "Aborted" is always answered at the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AckWhen {
    /// When the decision is durable.
    Decided,
    /// When every branch has applied it.
    Applied,
}

/// A timer of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Waits for the votes, or for the caller's word on a held transaction.
    Votes(RunId),
    /// Waits before a branch is told the decision again.
    Retry(RunId, Index),
    /// Waits for those with whom a run with a pact is decided.
    Lead(RunId),
    /// The time in which it must be decided.
    Deadline(RunId),
}

records! {
    /// What a transaction promises. In the log as JSON with the kind as tag.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Record {
        /// The only writing branch was asked to commit in one phase: what becomes of it is the
        /// decision.
        Delegated(Case),
        /// Commit or abort, final. Its sync is the commit point.
        Decided {
            /// What was decided.
            decision: Decision,
            /// About what. Absent after `Delegated`, which said it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            case: Option<Case>,
        },
        /// A branch was found finished against the decision.
        Heuristic {
            /// Which branch.
            branch: Index,
            /// What was found.
            detail: String,
        },
        /// A branch's participant answers what only an operator can mend.
        Stuck {
            /// Which branch.
            branch: Index,
            /// What it answers.
            detail: String,
        },
        /// An operator declared a branch finished.
        Resolved {
            /// Which branch.
            branch: Index,
            /// What the operator saw there.
            committed: bool,
            /// Why, and by whom.
            reason: String,
        },
        /// A run began that this node alone cannot forget, so the gid can never begin another one:
        /// its members may commit without this node (Paxos commit), or services are called that
        /// nobody could list (a plan).
        Begun {
            /// About what; nobody has voted.
            case: Case,
            /// What the members are told.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pact: Option<Pact>,
            /// What is to be done.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            plan: Option<Arc<Plan>>,
        },
        /// A branch was added to an open run.
        Added {
            /// Its name.
            name: String,
            /// Where it runs.
            resource: String,
            /// When and what.
            planned: Planned,
        },
        /// The caller wants an open run committed; its branches may prepare from here on.
        Sealed,
        /// A step is done; or a try was answered with yes when it was aborted already.
        Done {
            /// Which.
            branch: Index,
            /// What it put out.
            #[serde(default, skip_serializing_if = "is_empty")]
            output: Proof,
            /// Why an operator says so, and who, if not the service said it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            declared: Option<String>,
            /// How it came to that, if the service said it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            tried: Option<Tried>,
        },
        /// A branch of a plan is told, and has answered: its step is undone, its delivery has
        /// arrived, or it has committed or rolled back.
        Applied {
            /// Which.
            branch: Index,
            /// How it came to that; absent if nothing had to be called.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            tried: Option<Tried>,
        },
        /// The caller's word did not come, but who was asked says that its local transaction has
        /// committed. It is for timelines: no machine reads it.
        AskedBack,
        /// Whether the caller's local transaction committed was asked, and the answer is one that
        /// only an operator can mend.
        AskStuck {
            /// The answer.
            detail: String,
        },
        /// An operator gave a branch other calls.
        Edited {
            /// Which.
            branch: Index,
            /// Its calls from now on.
            work: Work,
            /// Whose outputs they use; absent if they use what those before could.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            uses: Option<Vec<Index>>,
            /// Why, and by whom.
            reason: String,
        },
        /// Three-phase: all voted yes, and the members are told so.
        PreCommitted {
            /// About what.
            case: Case,
            /// What the members were told.
            pact: Pact,
        },
        /// Paxos, as leader: this ballot was used, and is never used again.
        Claimed {
            /// Which.
            ballot: Ballot,
        },
        /// Paxos, as acceptor: nothing below this ballot is accepted any more.
        Promised {
            /// Which.
            ballot: Ballot,
        },
        /// Paxos, as acceptor: accepted, for all branches at once.
        Accepted {
            /// What, and in which ballot.
            proposal: Proposal,
        },
        /// Every branch is proved or declared finished.
        Finished,
    }
}

/// What a decision is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Case {
    /// The run that was decided.
    pub run: RunId,
    /// What the request was.
    pub fingerprint: String,
    /// All branches, in the caller's order.
    pub branches: Vec<CaseBranch>,
}

/// A branch in a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CaseBranch {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub resource: String,
    /// How it voted, and so whether it must be told the decision.
    pub vote: Voted,
    /// What the participant wants to be told again.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub proof: Proof,
    /// In a plan: how it came by its vote, or a step to its end, if no record before says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<Tried>,
}

/// How something that was asked for came to its end. It is for timelines: no machine reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tried {
    /// How often it was tried, since the node started.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
    /// How long the last try took, in ms.
    pub last_ms: u32,
}

impl Tried {
    /// One try more.
    pub(super) fn again(before: Option<Self>, took_ms: u64) -> Self {
        let times = before.map_or(0, |tried| tried.times).saturating_add(1);
        Self { times, last_ms: u32::try_from(took_ms).unwrap_or(u32::MAX) }
    }
}

fn once() -> u32 {
    1
}

fn is_once(times: &u32) -> bool {
    *times == 1
}

fn is_empty(proof: &Proof) -> bool {
    proof.0.is_empty()
}

/// How a branch voted, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voted {
    /// Prepared.
    Yes,
    /// Wrote nothing.
    ReadOnly,
    /// Holds nothing.
    No,
    /// Not known: it may be prepared.
    Unknown,
}

impl Voted {
    /// Whether the branch must be told the decision.
    pub fn is_in_doubt(self) -> bool {
        matches!(self, Self::Yes | Self::Unknown)
    }
}

/// Commit or abort.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It happens.
    Commit,
    /// It does not.
    Abort(Reason),
}

/// Why a transaction was aborted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// The branch's name, if a branch was the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What it said.
    #[serde(flatten)]
    pub refusal: Refusal,
}

impl Reason {
    /// A reason of the coordinator's own.
    pub(super) fn own(branch: Option<String>, code: &str, message: String, cause: Cause) -> Self {
        Self { branch, refusal: Refusal { code: code.into(), message, cause } }
    }
}
