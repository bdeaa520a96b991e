//! MySQL and MariaDB.

use sqlx::{MySql, MySqlConnection, query, query_as};

use super::{failed, row, transaction};
use crate::barrier::{Call, Error, Row};

/// The count of changed rows tells an insert (1) from an update (2), whatever the client wants
/// counted, because `calls` always changes. `INSERT IGNORE` would take a shared lock on a row that
/// is there, and two that have it would lock each other out.
const CLAIM: &str = "INSERT INTO handfast_barrier (gid, branch, seen_ms) VALUES (?, ?, ?) \
    ON DUPLICATE KEY UPDATE calls = calls + 1, seen_ms = ?";

/// An insert returns nothing in MySQL. This sees the newest state even in a transaction whose
/// snapshot is older, because the update has made the row the transaction's own.
const READ: &str = "SELECT begun, begun_answer, ended, ended_answer FROM handfast_barrier \
    WHERE gid = ? AND branch = ?";

const WRITE: &str = "UPDATE handfast_barrier \
    SET begun = ?, begun_answer = ?, ended = ?, ended_answer = ? WHERE gid = ? AND branch = ?";

const PRUNE: &str = "DELETE FROM handfast_barrier WHERE seen_ms < ? ORDER BY seen_ms LIMIT ?";

transaction!(MySql, MySqlConnection, claim, WRITE, PRUNE);

async fn claim(on: &mut MySqlConnection, call: &Call, now_ms: i64) -> Result<Row, Error> {
    let claim = query(CLAIM).bind(call.gid()).bind(call.branch());
    let claim = claim.bind(now_ms).bind(now_ms).execute(&mut *on).await.map_err(failed)?;
    if claim.rows_affected() == 1 {
        return Ok(Row::default());
    }
    let read = query_as(READ).bind(call.gid()).bind(call.branch());
    read.fetch_one(on).await.map(row).map_err(failed)
}
