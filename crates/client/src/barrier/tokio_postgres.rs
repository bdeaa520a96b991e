//! The barrier over tokio-postgres.

use tokio_postgres::types::{ToSql, Type};

use super::{
    Call, Connection, Error, PRUNE_MAX, Row, Transaction,
    sql::{CLAIM, MARK, PRUNE_POSTGRES, TAKE_BACK, WRITE},
};

impl Connection for tokio_postgres::Client {
    type Ref<'t> = &'t Self;
}

impl Transaction for tokio_postgres::Transaction<'_> {
    type Connection = tokio_postgres::Client;

    fn connection(&mut self) -> &tokio_postgres::Client {
        self.client()
    }

    async fn claim(&mut self, call: &Call, now_ms: i64) -> Result<Row, Error> {
        let params: [(&(dyn ToSql + Sync), Type); 3] =
            [(&call.gid(), Type::TEXT), (&call.branch(), Type::TEXT), (&now_ms, Type::INT8)];
        let row = self.query_typed_one(CLAIM, &params).await.map_err(failed)?;
        Ok(Row {
            begun: row.try_get(0).map_err(failed)?,
            begun_answer: row.try_get(1).map_err(failed)?,
            ended: row.try_get(2).map_err(failed)?,
            ended_answer: row.try_get(3).map_err(failed)?,
        })
    }

    async fn write(&mut self, call: &Call, row: &Row) -> Result<(), Error> {
        let params: [(&(dyn ToSql + Sync), Type); 6] = [
            (&row.begun, Type::TEXT),
            (&row.begun_answer, Type::BYTEA),
            (&row.ended, Type::TEXT),
            (&row.ended_answer, Type::BYTEA),
            (&call.gid(), Type::TEXT),
            (&call.branch(), Type::TEXT),
        ];
        let written = self.query_typed(WRITE, &params).await.map_err(failed)?;
        if written.len() == 1 { Ok(()) } else { Err(Error::Ended) }
    }

    async fn mark(&mut self) -> Result<(), Error> {
        self.batch_execute(MARK).await.map_err(failed)
    }

    async fn take_back(&mut self) -> Result<(), Error> {
        self.batch_execute(TAKE_BACK).await.map_err(failed)
    }

    async fn prune(&mut self, before_ms: i64) -> Result<u64, Error> {
        let params: [(&(dyn ToSql + Sync), Type); 2] =
            [(&before_ms, Type::INT8), (&(PRUNE_MAX as i64), Type::INT8)];
        let gone = self.query_typed(PRUNE_POSTGRES, &params).await.map_err(failed)?;
        Ok(gone.len() as u64)
    }
}

fn failed(error: tokio_postgres::Error) -> Error {
    Error::Database(error.into())
}
