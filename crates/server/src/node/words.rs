//! What a node is asked, and how it refuses.

use handfast_client::wire;
use handfast_core::work::Work;

use crate::driver::NotTaken;

/// A whole transaction to run, checked and in the core's words.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The caller's name for it; made here if absent.
    pub gid: Option<String>,
    /// In the caller's order: name, resource, work.
    pub branches: Vec<(String, String, Work)>,
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

/// What an operator or caller may tell an open transaction.
#[derive(Clone, Debug)]
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
    /// Try its branches again now.
    Retry {
        /// Why; kept in the node's own log lines.
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
}

impl From<NotTaken> for Rejected {
    fn from(refusal: NotTaken) -> Self {
        match refusal {
            NotTaken::Full => Self::Busy,
            NotTaken::Stopped => Self::Stopping,
        }
    }
}
