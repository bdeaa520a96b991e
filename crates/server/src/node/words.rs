//! What a node is asked, and how it refuses.

use std::sync::Arc;

use handfast_client::wire;
use handfast_core::{
    plan::{Part, Plan, Terms},
    transaction::Index,
    work::Work,
};

use crate::driver::NotTaken;

/// A whole transaction to run, checked and in the core's words.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Its name.
    pub gid: String,
    /// The name was made for it just now: nothing can be known of it.
    pub is_new: bool,
    /// In the caller's order.
    pub branches: Vec<Branch>,
    /// What concerns the whole of its plan, if it has one.
    pub terms: Option<Terms>,
    /// All branches must vote within this time.
    pub timeout_ms: u64,
    /// When to answer.
    pub ack: wire::AckWhen,
    /// Whether to wait for `commit` after the votes.
    pub hold: bool,
    /// How commit or abort is decided.
    pub decide: wire::Decide,
    /// What makes two requests with one gid the same: a hash over branches, hold and decide.
    pub fingerprint: String,
    /// How long the caller waits; 0 = not at all.
    pub wait_ms: u64,
}

/// A branch, checked and in the core's words.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Its name within the transaction.
    pub name: String,
    /// Where it runs.
    pub resource: String,
    /// What it does.
    pub work: Work,
    /// When, and how patiently.
    pub part: Part,
}

/// A transaction with a plan as it is now, to which something is added or in which something is
/// edited.
#[derive(Clone, Debug)]
pub struct Present {
    /// Its name.
    pub gid: String,
    /// Its branches: name and resource.
    pub branches: Vec<(String, String)>,
    /// What they do, in the same order.
    pub plan: Arc<Plan>,
    /// What they have put out, as JSON; empty for nothing, none if it is not known yet.
    pub outputs: Vec<Option<String>>,
}

/// What an operator or caller may tell an open transaction. Not `Debug`: what an edit's calls carry
/// is not for log lines.
#[derive(Clone)]
pub enum Command {
    /// Commit a held one.
    Commit {
        /// Why; kept in the node's own log lines.
        reason: String,
    },
    /// Abort one that is not decided.
    Abort {
        /// Why; kept in the log.
        reason: String,
    },
    /// Try what waits again, now.
    Retry {
        /// Which branch; all if none is named.
        branch: Option<String>,
        /// Why; kept in the node's own log lines.
        reason: String,
    },
    /// Give a branch other calls, and try it again.
    Edit {
        /// Which branch.
        branch: String,
        /// Its calls from now on.
        work: Work,
        /// Whose outputs they use.
        uses: Vec<Index>,
        /// Why; kept in the log.
        reason: String,
    },
    /// Declare a branch finished.
    Resolve {
        /// Which branch.
        branch: String,
        /// What was seen at the participant.
        committed: bool,
        /// Why; kept in the log.
        reason: String,
    },
}

impl Command {
    /// As the API calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Commit { .. } => "commit",
            Self::Abort { .. } => "abort",
            Self::Retry { .. } => "retry",
            Self::Edit { .. } => "edit",
            Self::Resolve { .. } => "resolve",
        }
    }

    /// The branch that it is about, if it is about one.
    pub(crate) fn branch(&self) -> Option<&str> {
        match self {
            Self::Commit { .. } | Self::Abort { .. } => None,
            Self::Retry { branch, .. } => branch.as_deref(),
            Self::Edit { branch, .. } | Self::Resolve { branch, .. } => Some(branch),
        }
    }

    /// Why it is said.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Commit { reason }
            | Self::Abort { reason }
            | Self::Retry { reason, .. }
            | Self::Edit { reason, .. }
            | Self::Resolve { reason, .. } => reason,
        }
    }

    /// Why a transaction of this outcome did not do as it was told, if it did not.
    pub(crate) fn missed(&self, outcome: wire::Outcome) -> Result<(), Rejected> {
        match (self, outcome) {
            (Self::Commit { .. }, wire::Outcome::Aborted) => {
                Err(Rejected::WrongState("it is aborted".into()))
            }
            (Self::Abort { .. }, wire::Outcome::Committed) => {
                Err(Rejected::WrongState("it is committed".into()))
            }
            _ => Ok(()),
        }
    }
}

/// Why the node did not take a request. Nothing has happened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Rejected {
    /// Too many wait or run already.
    #[error("the node's queue is full")]
    Busy,
    /// It is not known yet whether that can be done.
    #[error("a resource has not answered since the node started")]
    NotReady,
    /// The node is stopping, or its log has failed.
    #[error("the node is stopping")]
    Stopping,
    /// What the log holds of this transaction cannot be read.
    #[error("the records of this transaction are damaged; the node's own log says how")]
    Damaged,
    /// The gid is taken.
    #[error("this gid was used with other content")]
    OtherContent,
    /// A branch of this name was added.
    #[error("the branch's name was used with other content")]
    OtherBranch(String),
    /// Nothing is known of it.
    #[error("no such transaction")]
    NoSuchTransaction,
    /// The transaction has no such branch.
    #[error("no such branch")]
    NoSuchBranch,
    /// Not configured.
    #[error("no such resource: {0}")]
    NoSuchResource(String),
    /// The branch's participant, or what the transaction needs besides, cannot decide in this way.
    #[error("{why}")]
    DecideUnsupported {
        /// The branch, if it is one.
        branch: Option<String>,
        /// What is missing.
        why: String,
    },
    /// The transaction is in a state where this cannot be done.
    #[error("{0}")]
    WrongState(String),
    /// It can be done when that call has ended.
    #[error("a call of the branch is under way")]
    CallUnderWay,
}

impl From<NotTaken> for Rejected {
    fn from(refusal: NotTaken) -> Self {
        match refusal {
            NotTaken::Full => Self::Busy,
            NotTaken::Stopped => Self::Stopping,
        }
    }
}
