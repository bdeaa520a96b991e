//! What the errors of MariaDB and MySQL mean: one table from number to code and cause.

use handfast_core::vote::{
    Ack,
    Cause::{self, Business, Passing, Request},
    Refusal,
};
use mysql_async::{DriverError, Error, ServerError};

use crate::refusal::{self, bounded, refusal};

/// No such table.
pub(super) const NO_SUCH_TABLE: u16 = 1146;
/// The key is there already.
pub(super) const DUPLICATE: u16 = 1062;
/// A column may not be null.
pub(super) const NULL: u16 = 1048;
/// A lock was not granted in time, or not at once.
pub(super) const LOCK_TIMEOUT: u16 = 1205;
/// A lock was not granted at once: MySQL.
pub(super) const LOCK_NOWAIT: u16 = 3572;

/// The branch was rolled back, for whatever reason: the range of the XA_RB codes.
pub(super) fn is_rolled_back(code: u16) -> bool {
    matches!(code, 1402 | 1613 | 1614)
}

/// The number of the server's error; 0 if the server did not say anything.
pub(super) fn number(error: &Error) -> u16 {
    match error {
        Error::Server(said) => said.code,
        _ => 0,
    }
}

/// Why a statement was refused, where nothing can have been prepared.
pub(super) fn refused(error: &Error) -> Refusal {
    let (code, cause) = match error {
        Error::Server(said) => meaning(said),
        Error::Driver(
            DriverError::StmtParamsMismatch { .. }
            | DriverError::StmtParamsNumberExceedsLimit { .. }
            | DriverError::MixedParams
            | DriverError::Params(_),
        ) => (refusal::SQL_PARAMETER, Request),
        Error::Driver(DriverError::PacketTooLarge) => (refusal::SQL_PARAMETER, Request),
        _ => (refusal::UNREACHABLE, Passing),
    };
    refusal(code, cause, in_words(error))
}

/// Why a connection was not made. A server that answers, but does not let us in, is told apart
/// from one that is away.
pub(super) fn connecting(error: &Error) -> Refusal {
    let code = match number(error) {
        1044 | 1045 | 1049 | 1130 | 1698 | 1862 | 3118 | 4151 => refusal::LOGIN_REFUSED,
        _ => refusal::UNREACHABLE,
    };
    refusal(code, Passing, in_words(error))
}

/// The answer of a second phase that met an error: an operator must look if the server refuses,
/// otherwise it is to be tried again.
pub(super) fn not_finished(error: &Error) -> Ack {
    let passing = match error {
        Error::Server(said) => meaning(said).1 == Passing,
        _ => true,
    };
    let why = bounded(in_words(error));
    if passing { Ack::Unknown(why) } else { Ack::Broken(why) }
}

/// What happened, in the server's or the driver's words.
pub(super) fn in_words(error: &Error) -> String {
    match error {
        Error::Server(said) => format!("{} (error {})", said.message, said.code),
        other => other.to_string(),
    }
}

fn meaning(said: &ServerError) -> (&'static str, Cause) {
    match said.code {
        1213 | 1614 => (refusal::DEADLOCK, Passing),
        1205 | 1613 | 3058 | 3572 => (refusal::LOCK_TIMEOUT, Passing),
        1020 => (refusal::SERIALIZATION, Passing),
        1969 | 3024 => (refusal::STATEMENT_TIMEOUT, Passing),
        // A key, a foreign key, not null, a check, a missing value.
        1022 | 1048 | 1062 | 1169 | 1216 | 1217 | 1364 | 1451 | 1452 | 1557 | 1586 | 1761
        | 1762 | 3819 | 4025 => (refusal::CONSTRAINT, Business),
        // Out of range, too long, wrong for its column, division by zero, bad numbers.
        1264 | 1265 | 1292 | 1365 | 1366 | 1367 | 1406 | 1411 | 1441 | 1690 | 3140 | 4038 => {
            (refusal::SQL_VALUE, Business)
        }
        // The statement would commit, is not for prepared statements, or ends the branch.
        1179 | 1295 | 1399 | 1400 | 1422 => (refusal::SQL_NOT_ALLOWED, Request),
        // MySQL: a temporary table within XA. In MariaDB the number is an unknown sequence's.
        4091 if said.state == "HY000" => (refusal::SQL_NOT_ALLOWED, Request),
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 => (refusal::PERMISSION, Request),
        // Read-only mode: an operator's doing, and he can end it.
        1290 | 1792 | 1836 => (refusal::PERMISSION, Passing),
        1210 => (refusal::SQL_PARAMETER, Request),
        // A trigger or procedure of the schema says no with SIGNAL.
        1644 => (refusal::SQL_ERROR, Business),
        // Too many connections, shutting down, out of resources, killed.
        1021
        | 1037
        | 1038
        | 1040
        | 1041
        | 1053
        | 1114
        | 1129
        | 1158..=1161
        | 1180
        | 1181
        | 1203
        | 1226
        | 1317
        | 1461
        | 1927
        | 3101
        | 3169 => (refusal::SQL_ERROR, Passing),
        _ if said.state.starts_with("42") => (refusal::SQL_SYNTAX, Request),
        _ => (refusal::SQL_ERROR, Request),
    }
}
