//! What is said to, by and about a transaction: inputs, records, effects, answers.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    id::{RequestId, RunId},
    pact::{
        Message, Pact, Peer,
        paxos::{Ballot, Proposal},
    },
    vote::{Ack, Cause, Proof, Refusal, Vote},
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
    },
    /// A branch answered the decision.
    Acked {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Its answer.
        ack: Ack,
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
    /// An operator wants waiting branches to be tried now.
    RetryAsked {
        /// Who gets the answer.
        request: RequestId,
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
}

/// What a transaction promises. In the log as JSON with the kind as tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
    /// A run with a pact began, for Paxos commit: from here on its members may commit without this
    /// node, so the gid can never begin another run.
    Begun {
        /// About what; nobody has voted.
        case: Case,
        /// What the members are told.
        pact: Pact,
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

/// What a transaction asks the outside to do.
///
/// The driver must answer every `Prepare` with `Voted` and every `Commit` and `Abort` with `Acked`,
/// in bounded time; silence is answered with `Lost` or `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Let a branch do its work and vote.
    Prepare {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Where.
        resource: String,
        /// What.
        work: Work,
        /// Keep the work open instead of preparing: one-phase commit follows.
        one_phase: bool,
        /// It must vote within this time, in ms.
        within_ms: u64,
        /// What the branch must know to be decided without the coordinator.
        pact: Option<Pact>,
    },
    /// Tell a branch to commit.
    Commit {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Where.
        resource: String,
        /// What it said when it voted.
        proof: Proof,
        /// It is open, not prepared: its commit decides.
        one_phase: bool,
    },
    /// Tell a branch to roll back, after stopping what it may still be doing.
    Abort {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Where.
        resource: String,
        /// What it said when it voted, if it did.
        proof: Proof,
    },
    /// Give `Fired(timer)` after this time.
    Arm {
        /// Which.
        timer: Timer,
        /// After how long.
        after_ms: u64,
    },
    /// Answer a caller.
    Reply {
        /// Whom.
        request: RequestId,
        /// What.
        answer: Answer,
    },
    /// Nothing will be asked for this run any more: it is finished, or was never begun because its
    /// gid was known already.
    Close {
        /// Which run.
        run: RunId,
    },
    /// Wake an operator: a branch was finished against the decision.
    Alarm {
        /// Which branch.
        branch: Index,
        /// What was found.
        detail: String,
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
    /// It happens. With `AckWhen::Applied`: it has happened everywhere.
    Committed,
    /// It does not happen.
    Aborted(Reason),
    /// All branches voted yes; it waits for the caller's word.
    Held,
    /// Decided, but a branch was finished against the decision.
    Mixed,
    /// The gid was used with other content; nothing was done.
    OtherContent,
    /// Too many wait for this one already; nothing was done.
    Busy,
    /// Nothing is known of such a transaction.
    NoSuchTransaction,
    /// It cannot be done in this state, which is named; nothing was done.
    WrongState(&'static str),
    /// An operator's word was taken.
    Taken,
    /// To a participant: commit.
    InquiryCommit,
    /// To a participant: roll back.
    InquiryAbort,
    /// To a participant: not decided, ask again.
    InquiryPending,
}
