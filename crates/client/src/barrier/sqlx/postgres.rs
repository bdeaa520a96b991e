//! PostgreSQL.

use sqlx::{PgConnection, Postgres, query_as};

use super::{failed, row, transaction};
use crate::barrier::{
    Call, Error, Row,
    sql::{CLAIM, PRUNE_POSTGRES, WRITE},
};

transaction!(Postgres, PgConnection, claim, WRITE, PRUNE_POSTGRES);

async fn claim(on: &mut PgConnection, call: &Call, now_ms: i64) -> Result<Row, Error> {
    let claim = query_as(CLAIM).bind(call.gid()).bind(call.branch()).bind(now_ms);
    claim.fetch_one(on).await.map(row).map_err(failed)
}
