//! The barrier: makes a service's own local transaction safe against calls that come twice, too
//! late, or in the wrong order.
//!
//! [`run`] puts a row for the branch into the very transaction that does the service's work. So
//! the row is there if and only if the work is, and the database's lock on it puts all calls of
//! the branch in one line, also those that come at the same time.
//!
//! | the call | what happens |
//! |---|---|
//! | comes the first time | the work runs, and its answer is recorded |
//! | was done before | the recorded answer; the work does not run again |
//! | undo or cancel before its do or try | recorded as [empty](Settled::Empty); no work runs |
//! | do or try after its undo or cancel | [too late](Settled::Late): refused, now and for ever |
//! | confirm without a try that was done | [missing](Settled::Missing); nothing is recorded |
//! | confirm after cancel, cancel after confirm | [contradicted](Settled::Contradicted) |
//! | fails, or is rolled back | nothing is recorded: the next attempt starts afresh |
//!
//! For two-phase messages, [`mark`] puts such a row into the local transaction that goes with the
//! message, and [`ask`] answers Handfast whether that has committed.
//!
//! The table is made by `handfast barrier schema`; it must be in the database that the work
//! changes. `docs/barrier.md` tells the rest.
//!
//! ```no_run
//! # #[cfg(feature = "barrier-sqlx-postgres")]
//! # mod example {
//! use handfast_client::barrier::{self, Call, Settled, Verdict};
//!
//! # type Error = Box<dyn std::error::Error + Send + Sync>;
//! async fn book(call: Call, pool: sqlx::PgPool, room: i64) -> Result<Settled, Error> {
//!     let mut tx = pool.begin().await?;
//!     let settled = barrier::run(&call, &mut tx, async |db| -> Result<_, Error> {
//!         let taken = sqlx::query("UPDATE room SET free = free - 1 WHERE id = $1 AND free > 0")
//!             .bind(room)
//!             .execute(&mut *db)
//!             .await?;
//!         Ok(match taken.rows_affected() {
//!             0 => Verdict::Refused(br#"{"why": "sold out"}"#.to_vec()),
//!             _ => Verdict::Done(format!(r#"{{"room": {room}}}"#).into_bytes()),
//!         })
//!     })
//!     .await?;
//!     tx.commit().await?; // Whatever it settled, and before the answer leaves.
//!     Ok(settled)
//! }
//! # }
//! ```

#[cfg(feature = "barrier-axum")]
pub(crate) mod axum;
#[cfg(feature = "barrier-rusqlite")]
pub mod blocking;
pub(crate) mod call;
mod record;
mod schema;
#[allow(dead_code, reason = "each driver uses some of them")]
mod sql;
#[cfg(any(
    feature = "barrier-sqlx-mysql",
    feature = "barrier-sqlx-postgres",
    feature = "barrier-sqlx-sqlite",
))]
mod sqlx;
#[cfg(feature = "barrier-tokio-postgres")]
mod tokio_postgres;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::record::Meeting;
pub use self::{
    call::{BadCall, Call, CallKind, LOCAL},
    record::Row,
    schema::{Dialect, schema},
};

/// Most bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most branches that one [`prune`] forgets.
pub const PRUNE_MAX: u64 = 1_000;

/// What the work came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done; the answer to give, at most [`ANSWER_BYTES_MAX`], now and to every duplicate.
    Done(Vec<u8>),
    /// The business says no, and why. Whatever the work has changed is taken back. A do or try is
    /// refused for good; any other call may succeed when it is sent again.
    Refused(Vec<u8>),
}

/// What became of a call. Commit the transaction whichever it is, then answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The work is done.
    Done(Answer),
    /// The work was refused for business reasons, and changed nothing.
    Refused(Answer),
    /// An undo or cancel of what was never done, or was refused: there is nothing to take back.
    Empty,
    /// A do or try that came after its undo or cancel. It never runs.
    Late,
    /// A confirm, but no try was done: the caller is wrong, or the row was pruned.
    Missing,
    /// A confirm of what was cancelled, or a cancel of what was confirmed: the caller is wrong.
    Contradicted,
}

impl Settled {
    /// The HTTP status that tells it to Handfast: 200, 409 (refused), or 412 (stuck).
    pub fn status(&self) -> u16 {
        match self {
            Self::Done(_) | Self::Empty => 200,
            Self::Refused(_) | Self::Late => 409,
            Self::Missing | Self::Contradicted => 412,
        }
    }
}

/// What the work answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As the work gave it, byte for byte.
    pub bytes: Vec<u8>,
    /// Whether it is recorded from an earlier call.
    pub repeated: bool,
}

/// Why a call could not be settled. Nothing of it happened once the transaction is rolled back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database failed or refused. Also where two transactions locked each other out: a fresh
    /// transaction may succeed.
    #[error("failed to use the barrier's table: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The work's answer is longer than [`ANSWER_BYTES_MAX`].
    #[error("the answer has {0} bytes, more than {ANSWER_BYTES_MAX}")]
    AnswerTooLong(usize),
    /// The row was there when the work began, and is not any more: the work, or the database in
    /// the middle of it, ended the transaction.
    #[error("the transaction ended while the work ran")]
    Ended,
    /// The mark came after Handfast had asked, and was told that it never would: the message is
    /// dropped. Roll back.
    #[error("the local transaction comes after it was asked for")]
    Late,
    /// A local transaction with this mark has committed already, so this one is its duplicate. Roll
    /// back, and submit the message again.
    #[error("the local transaction has committed already")]
    Marked,
    /// What came to [`ask`] asks for nothing. Nothing has happened.
    #[error("the call is `{}` and not `ask`", .0.name())]
    NotAsk(CallKind),
    /// The gid to mark is none.
    #[error(transparent)]
    BadCall(#[from] BadCall),
    /// The table holds what this version does not know.
    #[error("the barrier's table holds an unknown state `{0}`")]
    UnknownState(String),
}

/// A driver's connection.
///
/// The work gets this and not the transaction, whose type has a lifetime: the future of a function
/// that is generic over such a closure could not be sent to another thread.
pub trait Connection {
    /// The reference through which the driver is used: shared or exclusive.
    type Ref<'t>;
}

/// How the work of a transaction `T` uses its connection.
pub type Ref<'t, T> = <<T as Transaction>::Connection as Connection>::Ref<'t>;

/// A local transaction, as the barrier uses it. Implemented for those of sqlx (PostgreSQL, MySQL,
/// SQLite), tokio-postgres and rusqlite; implement it to use another driver, with the table that
/// [`schema`] makes.
pub trait Transaction {
    /// The connection that it is on, which the work gets to use.
    type Connection: Connection;

    /// Lends it.
    fn connection(&mut self) -> Ref<'_, Self>;

    /// Inserts an empty row for the branch, or locks the one that is there and sets its `seen_ms`.
    /// It must wait for any other transaction that holds the row, must return the newest committed
    /// state, and must keep the row locked until the transaction ends.
    fn claim(&mut self, call: &Call, now_ms: i64) -> impl Future<Output = Result<Row, Error>>;

    /// Sets the claimed row. It must fail with [`Error::Ended`] if the row is gone.
    fn write(&mut self, call: &Call, row: &Row) -> impl Future<Output = Result<(), Error>>;

    /// Marks the place to which [`take_back`](Self::take_back) goes.
    fn mark(&mut self) -> impl Future<Output = Result<(), Error>>;

    /// Takes back what was changed since the mark; possible more than once.
    fn take_back(&mut self) -> impl Future<Output = Result<(), Error>>;

    /// Deletes at most [`PRUNE_MAX`] rows with a `seen_ms` less than that, and says how many.
    fn prune(&mut self, before_ms: i64) -> impl Future<Output = Result<u64, Error>>;
}

/// Runs the work of a call, unless the barrier knows better.
///
/// Waits for any other transaction that works on the same branch, as long as the database lets it
/// wait for a lock. The work must not end the transaction, nor run another barrier in it. If the
/// future is dropped before it is ready, the transaction must be rolled back.
///
/// # Errors
/// Those of the work, and of the barrier as [`Error`]; the work's changes are taken back where the
/// connection still allows it. Roll back, and answer so that the call is sent again.
pub async fn run<T, E, W>(call: &Call, tx: &mut T, work: W) -> Result<Settled, E>
where
    T: Transaction,
    E: From<Error>,
    W: AsyncFnOnce(Ref<'_, T>) -> Result<Verdict, E>,
{
    let mut row = tx.claim(call, now_ms()).await?;
    match row.meet(call.kind())? {
        Meeting::Known(settled) => return Ok(settled),
        Meeting::New(settled) => {
            tx.write(call, &row).await?;
            return Ok(settled);
        }
        Meeting::Work => {}
    }
    tx.mark().await?;
    let settled = attempt(call, tx, row, work).await;
    if settled.is_err() {
        // Even a caller who commits by mistake must not keep half of the work. The first error
        // says more than one that this may give.
        let _ = tx.take_back().await;
    }
    settled
}

async fn attempt<T, E, W>(call: &Call, tx: &mut T, mut row: Row, work: W) -> Result<Settled, E>
where
    T: Transaction,
    E: From<Error>,
    W: AsyncFnOnce(Ref<'_, T>) -> Result<Verdict, E>,
{
    match work(tx.connection()).await? {
        Verdict::Done(bytes) => {
            row.done(call.kind(), bounded(&bytes)?);
            tx.write(call, &row).await?;
            Ok(Settled::Done(Answer { bytes, repeated: false }))
        }
        Verdict::Refused(bytes) => {
            tx.take_back().await?;
            if row.refused(call.kind(), bounded(&bytes)?) {
                tx.write(call, &row).await?;
            }
            Ok(Settled::Refused(Answer { bytes, repeated: false }))
        }
    }
}

/// Marks the local transaction that goes with a two-phase message: the message is delivered if and
/// only if this transaction commits. To be called once in it, at any place.
///
/// # Errors
/// [`Error::Late`] and [`Error::Marked`] say why this transaction must not commit. After any error,
/// roll back.
pub async fn mark<T: Transaction>(gid: &str, tx: &mut T) -> Result<(), Error> {
    let call = Call::new(gid, LOCAL, CallKind::Do)?;
    let mut row = tx.claim(&call, now_ms()).await?;
    match row.meet(call.kind())? {
        Meeting::Work => {
            row.done(call.kind(), &[]);
            tx.write(&call, &row).await
        }
        Meeting::Known(Settled::Done(_)) => Err(Error::Marked),
        Meeting::Known(_) | Meeting::New(_) => Err(Error::Late),
    }
}

/// Answers whether the local transaction of a two-phase message has committed: [`Settled::Done`],
/// or [`Settled::Refused`], and then it never will, since its [`mark`] fails from now on.
///
/// Waits for a local transaction that is marked and has not ended, as long as the database lets it
/// wait for a lock. [`run`] answers such a call in the same way.
///
/// # Errors
/// The database failed, or the call does not ask. Roll back, and answer so that it is sent again.
pub async fn ask<T: Transaction>(call: &Call, tx: &mut T) -> Result<Settled, Error> {
    match call.kind() {
        CallKind::Ask => run(call, tx, async |_| Err(Error::NotAsk(CallKind::Ask))).await,
        other => Err(Error::NotAsk(other)),
    }
}

/// Forgets branches of which no call came for that long: the oldest first, at most [`PRUNE_MAX`] at
/// a time. Says how many; fewer than that means that all are gone.
///
/// A call that comes later than that is taken for a first one: a late do runs, and an undo is done
/// again or found empty. So `older_than` must be longer than any call can be under way, which is
/// longer than a transaction may be stuck.
///
/// # Errors
/// The database failed or refused; nothing is forgotten then.
pub async fn prune<T: Transaction>(tx: &mut T, older_than: Duration) -> Result<u64, Error> {
    let age_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
    tx.prune(now_ms().saturating_sub(age_ms)).await
}

fn bounded(answer: &[u8]) -> Result<&[u8], Error> {
    match answer.len() {
        ..=ANSWER_BYTES_MAX => Ok(answer),
        bytes => Err(Error::AnswerTooLong(bytes)),
    }
}

/// By the service's clock, not the database's: no time zones, no types that differ.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
