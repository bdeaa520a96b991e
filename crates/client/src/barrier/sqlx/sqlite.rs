//! SQLite.

use sqlx::{Sqlite, SqliteConnection, query_as};

use super::{failed, row, transaction};
use crate::barrier::{
    Call, Error, Row,
    sql::{CLAIM, PRUNE_SQLITE, WRITE},
};

transaction!(Sqlite, SqliteConnection, claim, WRITE, PRUNE_SQLITE);

async fn claim(on: &mut SqliteConnection, call: &Call, now_ms: i64) -> Result<Row, Error> {
    let claim = query_as(CLAIM).bind(call.gid()).bind(call.branch()).bind(now_ms);
    claim.fetch_one(on).await.map(row).map_err(failed)
}
