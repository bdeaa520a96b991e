//! What participants answer: votes, acknowledgements, and what is known when they fail.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// The answer of a branch that was asked to prepare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vote {
    /// Prepared durably: it will commit or abort as told, for ever.
    Yes(Proof),
    /// It wrote nothing and holds nothing: it drops out of the second phase.
    ReadOnly,
    /// It certainly holds nothing and never will for this branch id.
    No(Refusal),
    /// Nobody knows: it may be prepared, now or when a late message arrives.
    Lost(Refusal),
}

/// What a participant wants to be told again with the decision, to prove later what became of the
/// branch: for PostgreSQL the transaction's xid and the server's identity. Opaque to machines;
/// empty if the participant needs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(pub String);

/// Why a branch did not prepare, or an attempt did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Refusal {
    /// A stable code from `docs/errors.md`, such as `rows_mismatch`.
    pub code: String,
    /// What happened, in words, without secrets; at most 1024 bytes. Of a service that refused a
    /// do or a try, what it answered, as JSON: at most as long as an output.
    pub message: String,
    /// Whose doing it was.
    pub cause: Cause,
}

/// Whose doing a refusal was, and so what can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The request itself is wrong: the same request will fail again.
    Request,
    /// The data says no (expected rows not met, a constraint): a retry helps only if data change.
    Business,
    /// Circumstances (deadlock, timeout, server away): the same request may succeed later.
    Passing,
}

impl Cause {
    /// Whether the same request may succeed if simply sent again.
    pub fn retryable(self) -> bool {
        self == Self::Passing
    }
}

/// The answer of a participant that was told the decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ack {
    /// The branch is finished as told, now or before, and that is proved.
    Finished,
    /// The branch was finished against the decision by someone else, and that is proved.
    Heuristic(String),
    /// Not known to be finished; try again.
    Unknown(String),
    /// This call certainly did not arrive; try again, which costs no tries.
    Unsent(String),
    /// A service has no time for this call now; try again, and not sooner than it says.
    Later(Later),
    /// A service works on it; ask again after so many ms.
    InProgress(u64),
    /// The participant answers what makes no sense or refuses for want of rights: an operator must
    /// look. Tried again all the same.
    Broken(String),
}

/// The answer of a service that was asked to do a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reply {
    /// It is done; what it put out, as JSON, is empty if that is nothing.
    Done(Proof),
    /// It is certainly not done and never will be, for business reasons.
    Refused(Refusal),
    /// The service works on it; ask again after so many ms.
    InProgress(u64),
    /// This call certainly did not arrive.
    Unsent(String),
    /// The service has no time for this call now; ask again, and not sooner than it says.
    Later(Later),
    /// Nobody knows whether it is done.
    Unknown(String),
    /// The service answers what makes no sense: an operator must look.
    Broken(String),
}

/// A service turned a call away for now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Later {
    /// What it said.
    pub detail: String,
    /// The least wait, in ms.
    pub after_ms: u64,
    /// What was asked may be done all the same.
    pub may_be_done: bool,
}
