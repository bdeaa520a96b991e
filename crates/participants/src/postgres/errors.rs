//! What PostgreSQL's errors mean: one table from SQLSTATE to code and cause.

use handfast_core::vote::{
    Cause::{self, Business, Passing, Request},
    Refusal,
};
use tokio_postgres::error::{DbError, Error, Severity};

use crate::refusal::{self, bounded, refusal};

/// Why something did not work. The difference is what is known afterwards.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server said no: its last statement did nothing, the connection is in order.
    Refused {
        /// The SQLSTATE; empty if we said no ourselves.
        state: String,
        /// What to tell the caller.
        refusal: Refusal,
    },
    /// The connection failed: nobody knows what became of the last message.
    Broken(String),
}

impl Fault {
    /// A no of our own.
    pub(super) fn ours(code: &str, cause: Cause, message: impl Into<String>) -> Self {
        Self::Refused { state: String::new(), refusal: refusal(code, cause, message) }
    }

    /// The block does not bear the branch's name any more, by which an abort would find it.
    pub(super) fn renamed() -> Self {
        let why = "a statement, function or trigger changed application_name or ended the block";
        Self::ours(refusal::SQL_NOT_ALLOWED, Request, why)
    }

    /// The SQLSTATE, or nothing.
    pub(super) fn state(&self) -> &str {
        match self {
            Self::Refused { state, .. } => state,
            Self::Broken(_) => "",
        }
    }

    /// What happened, in words.
    pub(super) fn message(self) -> String {
        match self {
            Self::Refused { refusal, .. } => refusal.message,
            Self::Broken(why) => why,
        }
    }

    /// As the reason for a no, where nothing can have been prepared yet.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Refused { refusal, .. } => refusal,
            Self::Broken(why) => refusal(refusal::UNREACHABLE, Passing, why),
        }
    }

    /// As [`Fault::refusal`], for the answer to the PREPARE itself, where two states mean that
    /// the server has no place for prepared transactions.
    pub(super) fn prepare_refusal(self) -> Refusal {
        let (cause, cure) = match self.state() {
            "55000" => (Request, "set max_prepared_transactions and restart the server"),
            "53200" => (Passing, "raise max_prepared_transactions and restart the server"),
            _ => return self.refusal(),
        };
        refusal(refusal::PREPARED_SLOTS, cause, format!("{}; {cure}", self.message()))
    }

    /// Whether a statement named what does not exist (yet), or is no SQL at all.
    pub(super) fn is_syntax(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.code == refusal::SQL_SYNTAX)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(said) if said.parsed_severity() == Some(Severity::Error) => Self::Refused {
                state: said.code().code().into(),
                refusal: {
                    let (code, cause) = meaning(said);
                    refusal(code, cause, said.message())
                },
            },
            Some(said) => Self::Broken(bounded(said.message())),
            None => Self::Broken(bounded(in_words(&error))),
        }
    }
}

/// The reason for a connection that was not made. A server that answers, but does not let us in,
/// is told apart from one that is away.
pub(super) fn connect_fault(error: &Error) -> Fault {
    match error.as_db_error() {
        Some(said) if matches!(&said.code().code()[..2], "28" | "3D") || denied(said) => {
            Fault::ours(refusal::LOGIN_REFUSED, Passing, said.message())
        }
        Some(said) => Fault::Broken(bounded(said.message())),
        None => Fault::Broken(bounded(in_words(error))),
    }
}

fn denied(said: &DbError) -> bool {
    said.code().code() == "42501"
}

/// An error of the driver with its causes: its own text alone says only "connection closed".
fn in_words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        words.push_str(": ");
        words.push_str(&why.to_string());
        cause = why.source();
    }
    words
}

fn meaning(said: &DbError) -> (&'static str, Cause) {
    let state = said.code().code();
    match state {
        "40P01" => (refusal::DEADLOCK, Passing),
        "55P03" => (refusal::LOCK_TIMEOUT, Passing),
        "57014" => (refusal::STATEMENT_TIMEOUT, Passing),
        "42501" => (refusal::PERMISSION, Request),
        "22P02" | "22P03" | "22007" | "22021" => (refusal::SQL_PARAMETER, Request),
        // A plan that a change of the schema made useless; the next attempt makes a new one.
        "0A000" if said.routine() == Some("RevalidateCachedQuery") => (refusal::SQL_ERROR, Passing),
        "0A000" => (refusal::SQL_NOT_ALLOWED, Request),
        "44000" => (refusal::CONSTRAINT, Business),
        _ => match &state[..state.len().min(2)] {
            "40" => (refusal::SERIALIZATION, Passing),
            "23" => (refusal::CONSTRAINT, Business),
            "22" => (refusal::SQL_VALUE, Business),
            "42" | "3F" => (refusal::SQL_SYNTAX, Request),
            "25" | "2D" | "3B" => (refusal::SQL_NOT_ALLOWED, Request),
            // Raised by the schema's own functions and triggers.
            "P0" => (refusal::SQL_ERROR, Business),
            "08" | "26" | "53" | "57" | "58" | "XX" => (refusal::SQL_ERROR, Passing),
            _ => (refusal::SQL_ERROR, Request),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_named_only_at_the_prepare() {
        for (state, cause) in [("55000", Request), ("53200", Passing)] {
            let fault = || Fault::Refused {
                state: state.into(),
                refusal: refusal(refusal::SQL_ERROR, Passing, "prepared transactions are disabled"),
            };
            let said = fault().prepare_refusal();
            assert_eq!((said.code.as_str(), said.cause), (refusal::PREPARED_SLOTS, cause));
            assert!(said.message.contains("max_prepared_transactions"));
            assert_eq!(fault().refusal().code, refusal::SQL_ERROR);
        }
    }
}
