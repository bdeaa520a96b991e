//! What SQLite's errors mean for the log.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::log::LogError;

/// Names the file and what was asked of it.
pub fn fault(doing: &'static str, file: &Path) -> impl FnOnce(Error) -> LogError {
    move |error| {
        let file = file.into();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => LogError::Full { file },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => LogError::ReadOnly { file },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                LogError::Damaged { file, what: error.to_string() }
            }
            Some(_) => LogError::Io { doing, file, cause: error.into() },
            // The statement ran, but its rows do not hold what was written to them.
            None => LogError::Damaged { file, what: error.to_string() },
        }
    }
}
