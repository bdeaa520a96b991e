//! Why databases refuse: the stable codes that adapters share, explained in `docs/errors.md`.

use handfast_core::{
    limits::REASON_BYTES_MAX,
    vote::{Cause, Refusal},
};

/// The text is not SQL that this database understands, or names what does not exist.
pub(crate) const SQL_SYNTAX: &str = "sql_syntax";
/// A parameter is missing, too many, of the wrong type, or cannot be read as its type.
pub(crate) const SQL_PARAMETER: &str = "sql_parameter";
/// The statement may not run in a prepared transaction.
pub(crate) const SQL_NOT_ALLOWED: &str = "sql_not_allowed";
/// A value went out of range or could not be computed, such as a division by zero.
pub(crate) const SQL_VALUE: &str = "sql_value";
/// Any other error of the database.
pub(crate) const SQL_ERROR: &str = "sql_error";
/// A statement affected (or returned) another number of rows than expected.
pub(crate) const ROWS_MISMATCH: &str = "rows_mismatch";
/// The statements return more than may be handed back.
pub(crate) const RESULT_TOO_LARGE: &str = "result_too_large";
/// A returned column has a type that is not handed back; a cast to text helps.
pub(crate) const RESULT_TYPE: &str = "result_type";
/// A unique, foreign key, check or not-null constraint says no.
pub(crate) const CONSTRAINT: &str = "constraint";
/// The database chose this branch as the victim of a deadlock.
pub(crate) const DEADLOCK: &str = "deadlock";
/// The branch cannot be put in one order with others.
pub(crate) const SERIALIZATION: &str = "serialization";
/// A lock was not granted in time.
pub(crate) const LOCK_TIMEOUT: &str = "lock_timeout";
/// A statement took too long.
pub(crate) const STATEMENT_TIMEOUT: &str = "statement_timeout";
/// The branch as a whole did not vote in time.
pub(crate) const TIMEOUT: &str = "timeout";
/// The database cannot be reached, or went away before the branch was prepared.
pub(crate) const UNREACHABLE: &str = "unreachable";
/// The database does not let us in: user, password or database name.
pub(crate) const LOGIN_REFUSED: &str = "login_refused";
/// Prepared transactions are off, or all of their slots are taken.
pub(crate) const PREPARED_SLOTS: &str = "prepared_slots";
/// The database user may not do this.
pub(crate) const PERMISSION: &str = "permission";
/// The work is of a kind that this participant does not do.
pub(crate) const WRONG_WORK: &str = "wrong_work";
/// This branch was prepared, held or aborted before; it cannot be worked on again.
pub(crate) const BRANCH_REUSED: &str = "branch_reused";
/// The branch was told to abort while it worked.
pub(crate) const ABORTED: &str = "aborted";

/// A refusal whose message keeps to the bound.
pub(crate) fn refusal(code: &str, cause: Cause, message: impl Into<String>) -> Refusal {
    Refusal { code: code.into(), message: bounded(message), cause }
}

/// `text`, cut to the longest reason that is kept.
pub(crate) fn bounded(text: impl Into<String>) -> String {
    let mut text = text.into();
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}
