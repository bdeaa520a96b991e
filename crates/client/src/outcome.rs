//! What a caller learns: an outcome, or an error that says that nothing has happened.

use serde::de::DeserializeOwned;

use crate::wire::{self, BranchView, Problem, State};

/// What became of a transaction: exactly what is known.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a transaction may be aborted or unknown"]
pub enum Outcome {
    /// It happens, everywhere. Rows that statements returned are in `results`.
    Committed(wire::Transaction),
    /// It does not happen, anywhere.
    Aborted(Abort),
    /// Not decided, or not known here: ask again, or send the same request again.
    Unknown(Unknown),
}

/// Why a transaction was aborted.
#[derive(Clone, Debug, PartialEq)]
pub struct Abort {
    /// The branch that said no; `None` if it was not a branch.
    pub branch: Option<String>,
    /// A stable code, explained in docs/errors.md.
    pub code: String,
    /// What happened, in words.
    pub message: String,
    /// What can be done, where something is known.
    pub cure: Option<String>,
    /// What the service answered, where one refused.
    pub body: Option<serde_json::Value>,
    /// Whether the same work may succeed if sent again under a new gid.
    pub retryable: bool,
    /// The transaction as the node knows it.
    pub transaction: wire::Transaction,
}

/// A transaction of which the outcome is not known here.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    /// Its name. Sending the same content under it again is always safe.
    pub gid: String,
    /// The address that tells the outcome, once there is one.
    pub ask_at: String,
    /// Why it is not known, in words.
    pub why: String,
    /// What the node said of it; `None` if the node could not be heard.
    pub transaction: Option<wire::Transaction>,
}

impl Unknown {
    /// True if every branch voted yes and the transaction waits for `commit` or `abort`.
    pub fn is_held(&self) -> bool {
        self.transaction.as_ref().is_some_and(|t| t.state == State::Held)
    }
}

impl Outcome {
    /// True if it happens everywhere.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed(_))
    }

    /// True if it happens nowhere.
    pub fn is_aborted(&self) -> bool {
        matches!(self, Self::Aborted(_))
    }

    /// The transaction, as far as the node told.
    pub fn transaction(&self) -> Option<&wire::Transaction> {
        match self {
            Self::Committed(transaction) => Some(transaction),
            Self::Aborted(abort) => Some(&abort.transaction),
            Self::Unknown(unknown) => unknown.transaction.as_ref(),
        }
    }

    /// What a step, or a reservation, has put out.
    ///
    /// # Errors
    /// There is no such branch here, or its output is no `T`.
    pub fn output<T: DeserializeOwned>(&self, branch: &str) -> Result<T, NoOutput> {
        let branches = self.transaction().map_or(&[][..], |transaction| &transaction.branches);
        let view = branches.iter().find(|view| view.name == branch);
        let view = view.ok_or_else(|| NoOutput::NoBranch(branch.into()))?;
        serde_json::from_value(put_out(view))
            .map_err(|e| NoOutput::Different { branch: branch.into(), why: e.to_string() })
    }

    pub(crate) fn of(transaction: wire::Transaction, ask_at: String) -> Self {
        match transaction.outcome {
            wire::Outcome::Committed => Self::Committed(transaction),
            wire::Outcome::Aborted => Self::Aborted(Abort::of(transaction)),
            wire::Outcome::Unknown => Self::Unknown(Unknown {
                gid: transaction.gid.clone(),
                ask_at,
                why: "it was not decided when the node answered".into(),
                transaction: Some(transaction),
            }),
        }
    }
}

impl Abort {
    fn of(transaction: wire::Transaction) -> Self {
        let reason = transaction.reason.clone();
        let code = reason.as_ref().map_or("aborted", |r| &r.code).into();
        let message = reason.as_ref().map_or("no reason is recorded", |r| &r.message).into();
        let retryable = reason.as_ref().is_some_and(|r| r.retryable);
        let (branch, cure, body) =
            reason.map_or((None, None, None), |r| (r.branch, r.cure, r.body));
        Self { branch, code, message, cure, body, retryable, transaction }
    }
}

/// Why there is no such output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoOutput {
    /// What is known of the transaction has no such branch.
    #[error("there is no branch `{0}`")]
    NoBranch(String),
    /// It is something else. A branch that has put out nothing yet has put out null.
    #[error("the output of `{branch}` is something else: {why}")]
    Different {
        /// Whose.
        branch: String,
        /// In which way.
        why: String,
    },
}

/// The output of a branch: null if there is none.
pub(crate) fn put_out(branch: &BranchView) -> serde_json::Value {
    branch.output.clone().unwrap_or_default()
}

/// A call that did not do what it was asked to.
///
/// From [`run`](crate::Transaction::run) every error means: the transaction did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address, token or CA file given to the client cannot be used. Nothing was sent.
    #[error("failed to set up the client: {0}")]
    Setup(String),
    /// The request is wrong, or does not fit the state of things. Nothing has happened.
    #[error("{}: {}", .0.title, .0.detail)]
    BadRequest(Box<Problem>),
    /// The token is missing, not known, or has not the role that this needs.
    #[error("{}: {}", .0.title, .0.detail)]
    Refused(Box<Problem>),
    /// There is no such transaction, branch or resource.
    #[error("{}: {}", .0.title, .0.detail)]
    NotFound(Box<Problem>),
    /// The node cannot take it now, also not after retries. Nothing has happened.
    #[error("{}: {}", .0.title, .0.detail)]
    Busy(Box<Problem>),
    /// No connection to the node: certainly nothing was sent.
    #[error("failed to reach {url}: {why}")]
    Unreachable {
        /// The node's address.
        url: String,
        /// The last attempt's fault.
        why: String,
    },
    /// The question, or the command, was sent but its answer did not come. Asking again is safe.
    #[error("no answer from {url}: {why}")]
    NoAnswer {
        /// The node's address.
        url: String,
        /// The last attempt's fault.
        why: String,
    },
    /// What answers there does not speak like a Handfast node.
    #[error("the answer of {url} is not that of a Handfast node: {why}")]
    NotHandfast {
        /// The address.
        url: String,
        /// What was odd.
        why: String,
    },
    /// The node says that it has a fault of its own.
    #[error("{}: {}", .0.title, .0.detail)]
    Broken(Box<Problem>),
}

impl Error {
    /// The problem that the node described, where it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::BadRequest(p)
            | Self::Refused(p)
            | Self::NotFound(p)
            | Self::Busy(p)
            | Self::Broken(p) => Some(p),
            Self::Setup(_)
            | Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::NotHandfast { .. } => None,
        }
    }

    pub(crate) fn of(problem: Problem, status: u16) -> Self {
        let problem = Box::new(problem);
        match status {
            401 | 403 => Self::Refused(problem),
            404 => Self::NotFound(problem),
            429 | 503 => Self::Busy(problem),
            500.. => Self::Broken(problem),
            _ => Self::BadRequest(problem),
        }
    }
}
