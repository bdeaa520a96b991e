//! The barrier over sqlx.

#[cfg(feature = "barrier-sqlx-mysql")]
mod mysql;
#[cfg(feature = "barrier-sqlx-postgres")]
mod postgres;
#[cfg(feature = "barrier-sqlx-sqlite")]
mod sqlite;

use super::{Error, Row};

/// What a database's transactions have in common. A macro, since the bounds of an implementation
/// for all databases of sqlx would be longer than what it does.
macro_rules! transaction {
    ($database:ty, $connection:ty, $claim:ident, $write:expr, $prune:expr) => {
        impl crate::barrier::Connection for $connection {
            type Ref<'t> = &'t mut Self;
        }

        impl crate::barrier::Transaction for sqlx::Transaction<'_, $database> {
            type Connection = $connection;

            fn connection(&mut self) -> &mut $connection {
                self
            }

            async fn claim(&mut self, call: &Call, now_ms: i64) -> Result<Row, Error> {
                $claim(self, call, now_ms).await
            }

            async fn write(&mut self, call: &Call, row: &Row) -> Result<(), Error> {
                let write = sqlx::query($write).bind(&row.begun).bind(&row.begun_answer);
                let write = write.bind(&row.ended).bind(&row.ended_answer);
                let write = write.bind(call.gid()).bind(call.branch());
                let written = write.execute(&mut **self).await.map_err(failed)?;
                if written.rows_affected() == 1 { Ok(()) } else { Err(Error::Ended) }
            }

            async fn mark(&mut self) -> Result<(), Error> {
                let mark = sqlx::raw_sql(crate::barrier::sql::MARK);
                mark.execute(&mut **self).await.map_err(failed).map(drop)
            }

            async fn take_back(&mut self) -> Result<(), Error> {
                let take_back = sqlx::raw_sql(crate::barrier::sql::TAKE_BACK);
                take_back.execute(&mut **self).await.map_err(failed).map(drop)
            }

            async fn prune(&mut self, before_ms: i64) -> Result<u64, Error> {
                let most = crate::barrier::PRUNE_MAX as i64;
                let prune = sqlx::query($prune).bind(before_ms).bind(most);
                Ok(prune.execute(&mut **self).await.map_err(failed)?.rows_affected())
            }
        }
    };
}
use transaction;

/// A row as all databases return it.
type Columns = (Option<String>, Option<Vec<u8>>, Option<String>, Option<Vec<u8>>);

fn row((begun, begun_answer, ended, ended_answer): Columns) -> Row {
    Row { begun, begun_answer, ended, ended_answer }
}

fn failed(error: sqlx::Error) -> Error {
    Error::Database(error.into())
}
