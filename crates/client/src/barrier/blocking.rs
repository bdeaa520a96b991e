//! The barrier over rusqlite, whose transactions block: for `spawn_blocking`, or a thread of its
//! own. Begin the transaction with `TransactionBehavior::Immediate`, and give the connection a
//! busy timeout: a deferred one that has read before the barrier cannot wait, and fails.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use rusqlite::params;

use super::{
    Call, Connection, Error, PRUNE_MAX, Row, Settled, Transaction, Verdict,
    sql::{CLAIM, MARK, PRUNE_SQLITE, TAKE_BACK, WRITE},
};

/// [`barrier::run`](super::run), without waiting for a runtime.
///
/// # Errors
/// Those of the work, and of the barrier as [`Error`]; the work's changes are taken back.
pub fn run<E: From<Error>>(
    call: &Call,
    tx: &mut rusqlite::Transaction<'_>,
    work: impl FnOnce(&rusqlite::Connection) -> Result<Verdict, E>,
) -> Result<Settled, E> {
    ready(super::run(call, tx, async |db: &rusqlite::Connection| work(db)))
}

/// [`barrier::mark`](super::mark), without waiting for a runtime.
///
/// # Errors
/// Those of [`barrier::mark`](super::mark).
pub fn mark(gid: &str, tx: &mut rusqlite::Transaction<'_>) -> Result<(), Error> {
    ready(super::mark(gid, tx))
}

/// [`barrier::ask`](super::ask), without waiting for a runtime.
///
/// # Errors
/// Those of [`barrier::ask`](super::ask).
pub fn ask(call: &Call, tx: &mut rusqlite::Transaction<'_>) -> Result<Settled, Error> {
    ready(super::ask(call, tx))
}

/// [`barrier::prune`](super::prune), without waiting for a runtime.
///
/// # Errors
/// The database failed or refused; nothing is forgotten then.
pub fn prune(tx: &mut rusqlite::Transaction<'_>, older_than: Duration) -> Result<u64, Error> {
    ready(super::prune(tx, older_than))
}

/// Nothing below waits for anything but SQLite, which blocks.
fn ready<O>(future: impl Future<Output = O>) -> O {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("there is no await in it that could be pending"),
    }
}

impl Connection for rusqlite::Connection {
    type Ref<'t> = &'t Self;
}

impl Transaction for rusqlite::Transaction<'_> {
    type Connection = rusqlite::Connection;

    fn connection(&mut self) -> &rusqlite::Connection {
        self
    }

    async fn claim(&mut self, call: &Call, now_ms: i64) -> Result<Row, Error> {
        let mut claim = self.prepare_cached(CLAIM).map_err(failed)?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Row {
                begun: row.get(0)?,
                begun_answer: row.get(1)?,
                ended: row.get(2)?,
                ended_answer: row.get(3)?,
            })
        };
        claim.query_row(params![call.gid(), call.branch(), now_ms], row).map_err(failed)
    }

    async fn write(&mut self, call: &Call, row: &Row) -> Result<(), Error> {
        let mut write = self.prepare_cached(WRITE).map_err(failed)?;
        let Row { begun, begun_answer, ended, ended_answer } = row;
        let params = params![begun, begun_answer, ended, ended_answer, call.gid(), call.branch()];
        if write.exists(params).map_err(failed)? { Ok(()) } else { Err(Error::Ended) }
    }

    async fn mark(&mut self) -> Result<(), Error> {
        self.execute_batch(MARK).map_err(failed)
    }

    async fn take_back(&mut self) -> Result<(), Error> {
        self.execute_batch(TAKE_BACK).map_err(failed)
    }

    async fn prune(&mut self, before_ms: i64) -> Result<u64, Error> {
        let gone = self.execute(PRUNE_SQLITE, params![before_ms, PRUNE_MAX as i64]);
        gone.map(|gone| gone as u64).map_err(failed)
    }
}

fn failed(error: rusqlite::Error) -> Error {
    Error::Database(error.into())
}
