//! A branch's first phase on one session.
//!
//! Round trips: one message takes the name lock, sets the limits and starts the branch; then one
//! for each statement; then one message leaves the marker, ends the branch and prepares it.

use std::time::Duration;

use handfast_core::{
    id::BranchId,
    vote::{
        Cause::{Business, Passing, Request},
        Proof, Refusal,
    },
    work::{Rows, Sql, Statement},
};
use mysql_async::{Error, Params, Row, prelude::Queryable};
use tokio::time::timeout;

use super::{
    errors,
    marker::{self, Marker},
    sessions::{Server, Session, Stopped},
    statements, values, xa,
};
use crate::refusal::{self, refusal};

/// Most bytes of rows that one branch hands back.
const RESULT_BYTES_MAX: usize = 1024 * 1024;
/// How much later than the server we give up a statement: MySQL itself limits only reads.
const GRACE: Duration = Duration::from_millis(250);
/// The longest limit that the servers take, in seconds: a year.
const LIMIT_MAX_S: u32 = 31_536_000;
/// How many rows this session has written, by whatever way: triggers and functions too.
const WRITTEN: &str = "SHOW SESSION STATUS WHERE Variable_name IN \
                       ('Handler_write', 'Handler_update', 'Handler_delete')";

/// What is to be done.
pub(super) struct Task<'a> {
    pub(super) branch: &'a BranchId,
    pub(super) sql: &'a Sql,
    pub(super) limits: Limits,
    pub(super) marker: &'a Marker,
    /// Whether it is kept open for a one-phase commit, not prepared.
    pub(super) held: bool,
}

/// The most that one statement, and one wait for a lock, may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) statement: Duration,
    pub(super) lock: Duration,
}

/// Why a session did not get as far as it should.
pub(super) enum Fault {
    /// Refused. The session is in order; the branch, if it was started, is still open on it.
    Refused(Refusal),
    /// Somebody else works or worked on this very branch.
    Reused,
    /// The connection failed: nobody knows what became of the last message.
    Dead(Refusal),
}

/// A branch that was started.
pub(super) struct Begun {
    /// Rows written before, where it looks as if none will be.
    written: Option<u64>,
    /// By which its end can be told.
    pub(super) proof: Proof,
}

impl Task<'_> {
    /// Starts the branch. Nothing can be prepared by this, whatever happens.
    pub(super) async fn begin(&self, session: &mut Session) -> Result<Begun, Fault> {
        session.works_on(Some(self.branch));
        let reads_only = self.sql.statements.iter().all(statements::is_select);
        session.soiled |= !self.sql.statements.iter().all(statements::is_tidy);
        let text = self.opening(session.server, reads_only);
        match session.batch(&text).await {
            Ok(sets) if !xa::got_lock(&sets) => Err(Fault::Reused),
            Ok(sets) => Ok(Begun {
                written: reads_only.then(|| written(&sets)),
                // Without a time it began long ago: that proves least.
                proof: marker::proof(xa::cell(&sets, 1).unwrap_or(0)),
            }),
            Err(stopped) if errors::number(&stopped.error) == xa::DUPID => Err(Fault::Reused),
            Err(stopped) => Err(fault(&stopped.error)),
        }
    }

    /// Runs the statements. Answers their rows.
    pub(super) async fn run(&self, session: &mut Session) -> Result<Vec<Rows>, Fault> {
        let mut rows = Vec::new();
        let mut room = RESULT_BYTES_MAX;
        for statement in &self.sql.statements {
            statements::check(statement).map_err(Fault::Refused)?;
            let ran = timeout(self.limits.statement + GRACE, run(session, statement, &mut room));
            rows.extend(ran.await.map_err(|_| self.took_too_long(statement))??);
        }
        Ok(rows)
    }

    /// Whether the branch wrote anything, or may have.
    pub(super) async fn wrote(&self, session: &mut Session, begun: &Begun) -> Result<bool, Fault> {
        let Some(before) = begun.written else { return Ok(true) };
        let sets = session.batch(WRITTEN).await.map_err(|stopped| fault(&stopped.error))?;
        Ok(written(&sets) != before)
    }

    /// Leaves the marker and prepares the branch, or ends it for a later one-phase commit.
    pub(super) async fn seal(&self, session: &mut Session) -> Result<(), Stopped> {
        let (xid, insert) = (xa::xid(self.branch), self.marker.insert(self.branch));
        // A caller may have set the session's time, and the marker bears it.
        let text = format!("{}, timestamp = DEFAULT", no_limit(session.server));
        let mut text = format!("{text}; {insert}; XA END {xid}");
        if !self.held {
            text += &format!("; XA PREPARE {xid}");
            if session.server.detaches {
                text += &format!("; {}", xa::UNLOCK);
            }
        }
        session.batch(&text).await.map(drop)
    }

    /// Takes back all that was done and makes the session free. If that fails, the session must
    /// be dropped, which does the same.
    pub(super) async fn undo(&self, session: &mut Session) -> Result<(), Stopped> {
        let xid = xa::xid(self.branch);
        // XA END fails where a deadlock has ended the branch; the rollback is needed all the same.
        let end = format!("{}; XA END {xid}", no_limit(session.server));
        if let Err(stopped) = session.batch(&end).await
            && stopped.error.is_fatal()
        {
            return Err(stopped);
        }
        session.batch(&format!("XA ROLLBACK {xid}; {}", xa::UNLOCK)).await?;
        session.works_on(None);
        Ok(())
    }

    fn opening(&self, server: Server, reads_only: bool) -> String {
        let lock_s = self.limits.lock.as_secs_f64().ceil().clamp(1.0, LIMIT_MAX_S.into());
        let statement_ms =
            self.limits.statement.as_millis().clamp(1, u128::from(LIMIT_MAX_S) * 1000);
        let limit = if server.mariadb {
            format!("max_statement_time = {}.{:03}", statement_ms / 1000, statement_ms % 1000)
        } else {
            format!("max_execution_time = {}", statement_ms.min(u32::MAX.into()))
        };
        let mut text = format!(
            "{}, UNIX_TIMESTAMP(); SET innodb_lock_wait_timeout = {lock_s}, \
             lock_wait_timeout = {lock_s}, {limit}; ",
            xa::lock(self.branch, 0),
        );
        if let Some(level) = self.sql.isolation {
            text += &format!("{}; ", xa::isolation(level));
        }
        text += &format!("XA START {}", xa::xid(self.branch));
        if reads_only {
            text += &format!("; {WRITTEN}");
        }
        text
    }

    fn took_too_long(&self, statement: &Statement) -> Fault {
        let start = statements::start(&statement.text);
        let message = format!("no answer within {:?} to: {start}", self.limits.statement);
        Fault::Dead(refusal(refusal::STATEMENT_TIMEOUT, Passing, message))
    }
}

/// Takes the limit off again: what follows must not be interrupted.
fn no_limit(server: Server) -> &'static str {
    if server.mariadb { "SET max_statement_time = 0" } else { "SET max_execution_time = 0" }
}

/// Runs one statement; as a prepared one, so that it cannot be several.
async fn run(
    session: &mut Session,
    statement: &Statement,
    room: &mut usize,
) -> Result<Option<Rows>, Fault> {
    let params = values::bound(&statement.params).map_err(Fault::Refused)?;
    let ran = fetch(session, statement, params, room).await;
    if !matches!(&ran, Err(error) if error.is_fatal()) {
        session.answered();
    }
    let fetched = ran.map_err(|error| fault(&error))?;
    if let Some(refusal) = fetched.refusal {
        return Err(Fault::Refused(refusal));
    }
    match statement.rows {
        Some(wanted) if wanted != fetched.count => {
            let (count, start) = (fetched.count, statements::start(&statement.text));
            let message = format!("expected {wanted} rows, got {count}, from: {start}");
            Err(Fault::Refused(refusal(refusal::ROWS_MISMATCH, Business, message)))
        }
        _ => Ok(fetched.rows),
    }
}

#[derive(Default)]
struct Fetched {
    /// Rows returned, or affected where none can be returned.
    count: u64,
    rows: Option<Rows>,
    /// Why the rows cannot be handed back. The rest of them was read, to keep the session usable.
    refusal: Option<Refusal>,
}

async fn fetch(
    session: &mut Session,
    statement: &Statement,
    params: Params,
    room: &mut usize,
) -> Result<Fetched, Error> {
    let mut result = session.ask().exec_iter(statement.text.as_str(), params).await?;
    let mut fetched = Fetched { count: result.affected_rows(), ..Fetched::default() };
    while !result.is_empty() {
        let columns = result.columns().filter(|columns| !columns.is_empty());
        // A procedure may return several results; the first one is what the caller gets.
        let first = columns.is_some() && fetched.rows.is_none();
        if let (true, Some(columns)) = (first, columns) {
            fetched.count = 0;
            let columns = columns.iter().map(|column| column.name_str().into_owned()).collect();
            fetched.rows = Some(Rows { columns, rows: Vec::new() });
        }
        while let Some(row) = result.next().await? {
            fetched.count += u64::from(first);
            if first && statement.returns && fetched.refusal.is_none() {
                fetched.take(row, room);
            }
        }
    }
    // The driver keeps the error of a later result until somebody asks for more.
    result.drop_result().await?;
    fetched.rows = fetched.rows.filter(|_| statement.returns);
    Ok(fetched)
}

impl Fetched {
    fn take(&mut self, row: Row, room: &mut usize) {
        let taken = values::returned(row).and_then(|(values, size)| {
            *room = room.checked_sub(size).ok_or_else(|| {
                let message = format!("the rows take more than {RESULT_BYTES_MAX} bytes");
                refusal(refusal::RESULT_TOO_LARGE, Request, message)
            })?;
            Ok(values)
        });
        match (taken, &mut self.rows) {
            (Ok(values), Some(rows)) => rows.rows.push(values),
            (Ok(_), None) => {}
            (Err(refusal), _) => self.refusal = Some(refusal),
        }
    }
}

/// What an error is, where nothing can have been prepared.
pub(super) fn fault(error: &Error) -> Fault {
    if error.is_fatal() {
        Fault::Dead(errors::refused(error))
    } else {
        Fault::Refused(errors::refused(error))
    }
}

/// The sum over the rows of [`WRITTEN`], which is the last result.
fn written(sets: &[Vec<Row>]) -> u64 {
    let rows = sets.last().map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter_map(|row| row.get_opt::<u64, usize>(1)?.ok()).sum()
}
