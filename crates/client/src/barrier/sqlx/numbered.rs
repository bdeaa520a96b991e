//! The databases that number their parameters and return what a statement has changed: PostgreSQL
//! and SQLite.

use sqlx::{query, query_as, raw_sql};

use super::{failed, row};
use crate::barrier::{
    Call, Connection, Error, PRUNE_MAX, Row, Transaction,
    sql::{self, CLAIM, MARK, TAKE_BACK, WRITE},
};

/// A macro, since the bounds of a function that is generic over databases of sqlx would be longer
/// than what it does.
macro_rules! transaction {
    ($database:ty, $connection:ty, $prune:expr) => {
        impl Connection for $connection {
            type Ref<'t> = &'t mut Self;
        }

        impl Transaction for sqlx::Transaction<'_, $database> {
            type Connection = $connection;

            fn connection(&mut self) -> &mut $connection {
                self
            }

            async fn claim(&mut self, call: &Call, now_ms: i64) -> Result<Row, Error> {
                let claim = query_as(CLAIM).bind(call.gid()).bind(call.branch()).bind(now_ms);
                claim.fetch_one(&mut **self).await.map(row).map_err(failed)
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
                let prune = query($prune).bind(before_ms).bind(PRUNE_MAX as i64);
                Ok(prune.execute(&mut **self).await.map_err(failed)?.rows_affected())
            }
        }
    };
}

#[cfg(feature = "barrier-sqlx-postgres")]
transaction!(sqlx::Postgres, sqlx::PgConnection, sql::PRUNE_POSTGRES);
#[cfg(feature = "barrier-sqlx-sqlite")]
transaction!(sqlx::Sqlite, sqlx::SqliteConnection, sql::PRUNE_SQLITE);
