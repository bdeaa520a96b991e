//! One connection, and a branch's first phase on it.
//!
//! Round trips: `BEGIN`, the statements and the probe travel together; then `PREPARE` alone,
//! because row counts must be looked at before it may be sent. Statements new to the connection
//! cost one more.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use futures_util::{
    FutureExt, TryStreamExt,
    future::{BoxFuture, join, join_all, join4, ready},
};
use handfast_core::{
    id::BranchId,
    vote::Cause::{Business, Request},
    work::{Rows, Sql, Statement as Asked},
};
use tokio_postgres::{Error, SimpleQueryMessage, Statement};

use super::{
    connect::Connection,
    errors::Fault,
    statements::Statements,
    text,
    values::{Bound, Returned, is_returned},
};
use crate::refusal;

/// How many statements travel together. Bounds what is in flight; the driver's `join_all` keeps
/// the order of so few.
pub(super) const TOGETHER_MAX: usize = 16;
const _: () = assert!(TOGETHER_MAX <= 30);

/// Most bytes of rows that one branch hands back.
const RESULT_BYTES_MAX: usize = 1024 * 1024;

/// What the server tells about itself: cluster and timeline. A transaction id means something
/// only together with these.
const SERVER: &str = "SELECT system_identifier::text FROM pg_control_system()";
const TIMELINE: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN NULL \
                        ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";

/// Whether the branch wrote, and whether the block is still the one that we began.
const PROBE: &str = "SELECT pg_current_xact_id_if_assigned()::text, \
                     current_setting('application_name')";

/// A connection that is ours.
pub(super) struct Session {
    connection: Connection,
    /// Makes it as good as new.
    clean: Arc<str>,
    statements: Statements,
    probe: Statement,
    server: String,
    /// Whether the block of the current work was ever heard of.
    answered: bool,
}

/// The making clean of a session, already sent.
pub(super) type Cleaning = BoxFuture<'static, Result<(), Error>>;

/// A branch whose work is done, in a block that is still open.
pub(super) struct Worked {
    /// The rows of each statement that returns any.
    pub(super) rows: Vec<Rows>,
    /// The transaction id, if it wrote anything.
    pub(super) xid: Option<String>,
}

impl Session {
    /// Gets to know the server, and sets what holds outside of blocks.
    pub(super) async fn open(connection: Connection, clean: Arc<str>) -> Result<Self, Fault> {
        let client = &connection.client;
        client.batch_execute(&clean).await?;
        let system = match client.query_one_scalar(SERVER, &[]).await.map_err(Fault::from) {
            Ok(system) => system,
            // The right to ask was taken from this role.
            Err(fault) if fault.state() == "42501" => String::from("unknown"),
            Err(fault) => return Err(fault),
        };
        let timeline: Option<String> = client.query_one_scalar(TIMELINE, &[]).await?;
        let Some(timeline) = timeline else {
            return Err(Fault::Broken("the server is a standby".into()));
        };
        let probe = client.prepare(PROBE).await?;
        let server = format!("{system}.{timeline}");
        let statements = Statements::default();
        Ok(Self { connection, clean, statements, probe, server, answered: false })
    }

    /// Whether the server closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.connection.client.is_closed()
    }

    /// The server's cluster and timeline.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Whether the server answered anything in the last [`Session::work`].
    pub(super) fn answered(&self) -> bool {
        self.answered
    }

    /// The driver's side of it, for commands of our own.
    pub(super) fn client(&self) -> &tokio_postgres::Client {
        &self.connection.client
    }

    /// Sends what removes everything that a caller's statements left behind: settings, roles,
    /// locks of the session. `failed` says that a failed block may still be open.
    pub(super) fn clean(&self, failed: bool) -> Cleaning {
        let client = self.connection.client.clone();
        let text: Arc<str> =
            if failed { format!("ROLLBACK; {}", self.clean).into() } else { self.clean.clone() };
        let mut cleaning: Cleaning = Box::pin(async move { client.batch_execute(&text).await });
        // The first poll sends. Locks must not stay until the session is used again.
        match (&mut cleaning).now_or_never() {
            Some(done) => Box::pin(ready(done)),
            None => cleaning,
        }
    }

    /// Does a branch's work in a new block and leaves that open. `settle` also checks what would
    /// otherwise be checked at the commit.
    pub(super) async fn work(
        &mut self,
        branch: &BranchId,
        sql: &Sql,
        settle: bool,
    ) -> Result<Worked, Fault> {
        sql.statements.iter().try_for_each(|ask| text::check(&ask.text))?;
        self.answered = false;
        let begin = text::begin(branch, sql);
        match self.attempt(branch, sql, &begin, settle, TOGETHER_MAX).await {
            // A statement may need what an earlier one makes: try again, one after the other.
            Err(fault) if fault.is_syntax() && sql.statements.len() > 1 => {
                let again = format!("ROLLBACK; {begin}");
                self.attempt(branch, sql, &again, settle, 1).await
            }
            other => other,
        }
    }

    /// As [`Session::work`], with at most `together` statements under way at once.
    async fn attempt(
        &mut self,
        branch: &BranchId,
        sql: &Sql,
        begin: &str,
        settle: bool,
        together: usize,
    ) -> Result<Worked, Fault> {
        let room = AtomicUsize::new(RESULT_BYTES_MAX);
        let mut rows = Vec::new();
        let mut begin = Some(begin);
        let mut probed = (None, String::new());
        let chunks = sql.statements.chunks(together);
        let last = chunks.len().saturating_sub(1);
        for (number, chunk) in chunks.enumerate() {
            let known = self.learn(&mut begin, chunk).await?;
            fit(chunk, &known)?;
            let settle = (settle && number == last).then_some("SET CONSTRAINTS ALL IMMEDIATE");
            let (begun, ran, settled, probe) = join4(
                self.batch(begin.take()),
                join_all(chunk.iter().zip(&known).map(|(ask, known)| self.run(ask, known, &room))),
                self.batch(settle),
                self.probe(number == last),
            )
            .await;
            // The first failure in the order of sending is the cause of those behind it.
            begun?;
            self.answered = true;
            for returned in ran {
                rows.extend(returned?);
            }
            settled?;
            probed = probe?;
        }
        let (xid, name) = probed;
        if name != branch.to_string() {
            return Err(Fault::ours(
                refusal::SQL_NOT_ALLOWED,
                Request,
                "a statement ended the transaction or changed application_name",
            ));
        }
        Ok(Worked { rows, xid })
    }

    /// The prepared form of each statement. What is new to this connection is parsed inside the
    /// block, in the same trip as its BEGIN.
    async fn learn(
        &mut self,
        begin: &mut Option<&str>,
        chunk: &[Asked],
    ) -> Result<Vec<Statement>, Fault> {
        let new: Vec<&str> = chunk
            .iter()
            .map(|ask| ask.text.as_str())
            .filter(|text| !self.statements.contains(text))
            .collect();
        if !new.is_empty() {
            let client = &self.connection.client;
            let (begun, parsed) = join(
                self.batch(begin.take()),
                join_all(new.iter().map(|text| client.prepare(text))),
            )
            .await;
            begun?;
            self.answered = true;
            for (text, parsed) in new.into_iter().zip(parsed) {
                self.statements.put(text, parsed?);
            }
        }
        Ok(chunk
            .iter()
            .map(|ask| self.statements.touch(&ask.text).expect("the cache holds a whole chunk"))
            .collect())
    }

    async fn batch(&self, text: Option<&str>) -> Result<(), Fault> {
        match text {
            Some(text) => Ok(self.client().batch_execute(text).await?),
            None => Ok(()),
        }
    }

    async fn run(
        &self,
        ask: &Asked,
        known: &Statement,
        room: &AtomicUsize,
    ) -> Result<Option<Rows>, Fault> {
        let mut rows = ask.returns.then(|| Rows {
            columns: known.columns().iter().map(|column| column.name().into()).collect(),
            rows: Vec::new(),
        });
        let params = ask.params.iter().map(Bound);
        let mut stream = pin!(self.client().query_raw(known, params).await?);
        while let Some(row) = stream.try_next().await? {
            let Some(rows) = &mut rows else { continue };
            take(room, row.raw_size_bytes())?;
            let values = (0..row.len()).map(|at| Ok(row.try_get::<_, Returned>(at)?.0));
            rows.rows.push(values.collect::<Result<_, tokio_postgres::Error>>()?);
        }
        let count = stream.rows_affected().unwrap_or(0);
        match ask.rows {
            Some(wanted) if wanted != count => Err(Fault::ours(
                refusal::ROWS_MISMATCH,
                Business,
                format!("expected {wanted} rows, got {count}, from: {}", text::start(&ask.text)),
            )),
            _ => Ok(rows),
        }
    }

    async fn probe(&self, wanted: bool) -> Result<(Option<String>, String), Fault> {
        if !wanted {
            return Ok((None, String::new()));
        }
        let row = self.client().query_one(&self.probe, &[]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// Forgets the prepared statements, after the server did or a schema change spoilt them.
    pub(super) fn forget_statements(&mut self) {
        self.statements = Statements::default();
    }

    /// Prepares the open block. An error that is `Refused` rolled it back.
    ///
    /// In a failed block PREPARE TRANSACTION answers success and means ROLLBACK, and the driver
    /// hides the difference. So it is sent behind a command that fails in a failed block, in the
    /// same message, of which the server then skips the rest.
    pub(super) async fn prepare(&self, branch: &BranchId) -> Result<Cleaning, Fault> {
        let message = format!("SHOW application_name; PREPARE TRANSACTION '{branch}'");
        let (answers, cleaning) = self.end(&message).await?;
        let name = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        if name == Some(branch.to_string().as_str()) {
            Ok(cleaning)
        } else {
            Err(Fault::Broken("the block that was prepared is not the branch's".into()))
        }
    }

    /// Commits the open block; the same trap, the same guard.
    pub(super) async fn commit(&self) -> Result<Cleaning, Fault> {
        Ok(self.end("SHOW application_name; COMMIT").await?.1)
    }

    /// Rolls the open block back.
    pub(super) async fn roll_back(&self) -> Result<Cleaning, Fault> {
        Ok(self.end("ROLLBACK").await?.1)
    }

    /// Sends the end of a block and right behind it the cleaning; waits for the first only.
    async fn end(&self, message: &str) -> Result<(Vec<SimpleQueryMessage>, Cleaning), Fault> {
        let mut ended = pin!(self.client().simple_query(message));
        let at_once = ended.as_mut().now_or_never();
        let cleaning = self.clean(false);
        let answers = match at_once {
            Some(answers) => answers,
            None => ended.await,
        };
        Ok((answers?, cleaning))
    }
}

/// Checks parameters and returned columns against what the server told of the statements.
fn fit(chunk: &[Asked], known: &[Statement]) -> Result<(), Fault> {
    for (ask, known) in chunk.iter().zip(known) {
        let (wanted, given) = (known.params().len(), ask.params.len());
        let misfit =
            known.params().iter().zip(&ask.params).zip(1..).find_map(|((ty, param), at)| {
                let is = Bound(param).misfit(ty)?;
                Some(format!("${at} is {is}, but {} is wanted", ty.name()))
            });
        let wrong = if wanted == given {
            misfit
        } else {
            Some(format!("{wanted} parameters are wanted, {given} given"))
        };
        if let Some(wrong) = wrong {
            let message = format!("{wrong}, by: {}", text::start(&ask.text));
            return Err(Fault::ours(refusal::SQL_PARAMETER, Request, message));
        }
        let odd = known.columns().iter().find(|column| !is_returned(column.type_()));
        if let Some(odd) = odd.filter(|_| ask.returns) {
            let (name, ty) = (odd.name(), odd.type_().name());
            let message = format!("column `{name}` is of type {ty}; return `{name}::text` instead");
            return Err(Fault::ours(refusal::RESULT_TYPE, Request, message));
        }
    }
    Ok(())
}

fn take(room: &AtomicUsize, bytes: usize) -> Result<(), Fault> {
    let fits = room.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
    fits.map(drop).map_err(|_| {
        let message = format!("the rows to return are more than {RESULT_BYTES_MAX} bytes");
        Fault::ours(refusal::RESULT_TOO_LARGE, Request, message)
    })
}
