//! What a caller was told.

use handfast_client::{Error, Outcome};

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It happens.
    Committed,
    /// It does not: the code, and the branch, if it was one.
    Aborted(String),
    /// No connection, or the node was too busy: certainly nothing happened.
    NotSent,
    /// Unknown, and what it turned out to be: `None` until then.
    Unknown(Option<Box<Answer>>),
    /// Not what this program should ever be told.
    Wrong(String),
}

impl Answer {
    /// Of a transaction that was begun.
    pub fn of(ended: Result<Outcome, Error>) -> Self {
        match ended {
            Ok(Outcome::Committed(_)) => Self::Committed,
            Ok(Outcome::Aborted(abort)) => Self::Aborted(match abort.branch {
                Some(branch) => format!("{} ({branch})", abort.code),
                None => abort.code,
            }),
            Ok(Outcome::Unknown(_)) => Self::Unknown(None),
            Err(Error::Unreachable { .. } | Error::Busy(_)) => Self::NotSent,
            Err(other) => Self::Wrong(other.to_string()),
        }
    }

    /// What is known in the end: that it happens, that it does not, or `None`.
    pub fn happens(&self) -> Option<bool> {
        match self {
            Self::Committed => Some(true),
            Self::Aborted(_) | Self::NotSent => Some(false),
            Self::Unknown(later) => later.as_ref().and_then(|later| later.happens()),
            Self::Wrong(_) => None,
        }
    }
}
