//! MySQL and MariaDB.

use sqlx::{MySql, query, query_as, raw_sql};

use super::{failed, row};
use crate::barrier::{
    Call, Connection, Error, PRUNE_MAX, Row, Transaction,
    sql::{MARK, TAKE_BACK},
};

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

impl Connection for sqlx::MySqlConnection {
    type Ref<'t> = &'t mut Self;
}

impl Transaction for sqlx::Transaction<'_, MySql> {
    type Connection = sqlx::MySqlConnection;

    fn connection(&mut self) -> &mut sqlx::MySqlConnection {
        self
    }

    async fn claim(&mut self, call: &Call, now_ms: i64) -> Result<Row, Error> {
        let claim = query(CLAIM).bind(call.gid()).bind(call.branch());
        let claim = claim.bind(now_ms).bind(now_ms).execute(&mut **self).await.map_err(failed)?;
        if claim.rows_affected() == 1 {
            return Ok(Row::default());
        }
        let read = query_as(READ).bind(call.gid()).bind(call.branch());
        read.fetch_one(&mut **self).await.map(row).map_err(failed)
    }

    async fn write(&mut self, call: &Call, row: &Row) -> Result<(), Error> {
        let write = query(WRITE).bind(&row.begun).bind(&row.begun_answer);
        let write = write.bind(&row.ended).bind(&row.ended_answer);
        let write = write.bind(call.gid()).bind(call.branch());
        let written = write.execute(&mut **self).await.map_err(failed)?;
        if written.rows_affected() == 1 { Ok(()) } else { Err(Error::Ended) }
    }

    async fn mark(&mut self) -> Result<(), Error> {
        raw_sql(MARK).execute(&mut **self).await.map_err(failed).map(drop)
    }

    async fn take_back(&mut self) -> Result<(), Error> {
        raw_sql(TAKE_BACK).execute(&mut **self).await.map_err(failed).map(drop)
    }

    async fn prune(&mut self, before_ms: i64) -> Result<u64, Error> {
        let prune = query(PRUNE).bind(before_ms).bind(PRUNE_MAX);
        Ok(prune.execute(&mut **self).await.map_err(failed)?.rows_affected())
    }
}
