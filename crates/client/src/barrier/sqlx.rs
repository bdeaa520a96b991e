//! The barrier over sqlx.

#[cfg(feature = "barrier-sqlx-mysql")]
mod mysql;
#[cfg(any(feature = "barrier-sqlx-postgres", feature = "barrier-sqlx-sqlite"))]
mod numbered;

use super::{Error, Row};

/// A row as all databases return it.
type Columns = (Option<String>, Option<Vec<u8>>, Option<String>, Option<Vec<u8>>);

fn row((begun, begun_answer, ended, ended_answer): Columns) -> Row {
    Row { begun, begun_answer, ended, ended_answer }
}

fn failed(error: sqlx::Error) -> Error {
    Error::Database(error.into())
}
