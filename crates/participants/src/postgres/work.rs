//! A branch's work, up to the open block that is to be prepared.
//!
//! `BEGIN`, the statements and what belongs behind them travel together: a probe where it must be
//! found out whether the branch wrote, else the PREPARE itself. So a plain branch votes after one
//! round trip. Should its statements turn out not to be as expected, it is rolled back before
//! anybody says no. Statements new to the connection cost one more round trip.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures_util::{
    TryStreamExt,
    future::{join, join_all, join3},
};
use handfast_core::{
    id::BranchId,
    vote::{
        Cause::{Business, Request},
        Proof,
    },
    work::{Rows, Sql, Statement as Asked},
};
use tokio_postgres::Statement;

use super::{
    errors::Fault,
    session::{Cleaning, Session},
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

/// Whether the branch wrote, and whether the block is still the one that we began.
pub(super) const PROBE: &str = "SELECT pg_current_xact_id_if_assigned()::text, \
                                current_setting('application_name')";

/// A branch whose work is done.
pub(super) struct Worked {
    /// The rows of each statement that returns any.
    pub(super) rows: Vec<Rows>,
    /// What there is to commit.
    pub(super) wrote: Wrote,
}

/// What a branch did to the database.
pub(super) enum Wrote {
    /// It only read; its block is open.
    Nothing,
    /// It wrote, by its statements and their counts; its block is open, the transaction id was not
    /// asked for.
    Something,
    /// It wrote, under this transaction id; its block is open.
    Under(String),
    /// The PREPARE was sent along; this is its answer.
    Ended(Result<(Proof, Cleaning), Fault>),
}

/// What travels behind a chunk of statements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    /// With the check of what would otherwise be checked at the commit.
    Settle,
    Probe,
    Prepare,
}

/// How a chunk went.
struct Ran {
    rows: Vec<Rows>,
    /// Whether rows were changed, as far as counts tell.
    changed: bool,
    probed: Option<Probed>,
    prepared: Option<Result<(Proof, Cleaning), Fault>>,
}

/// The transaction's id, if it has one, and the block's name.
type Probed = (Option<String>, String);

impl Session {
    /// Does a branch's work in a new block. That stays open, unless the PREPARE could be sent
    /// along. `settle` keeps it open, and also checks what else would be checked at the commit.
    ///
    /// After an error nothing is prepared, unless `prepare_sent` says that this is not known.
    pub(super) async fn work(
        &mut self,
        branch: &BranchId,
        sql: &Sql,
        settle: bool,
    ) -> Result<Worked, Fault> {
        if sql.statements.is_empty() {
            return Err(Fault::ours(refusal::WRONG_WORK, Request, "there are no statements"));
        }
        sql.statements.iter().try_for_each(|ask| text::check(&ask.text))?;
        (self.answered, self.prepare_sent) = (false, false);
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
        let mut begin = Some(begin);
        let (mut rows, mut changed, mut probed) = (Vec::new(), false, None);
        let chunks = sql.statements.chunks(together);
        let last = chunks.len().saturating_sub(1);
        for (number, chunk) in chunks.enumerate() {
            let known = self.learn(&mut begin, chunk).await?;
            fit(chunk, &known)?;
            let behind =
                if number == last { self.behind_last(sql, settle) } else { Behind::Nothing };
            let begin = begin.take();
            let ran = self.run_chunk(branch, begin, chunk, &known, behind, &room).await?;
            rows.extend(ran.rows);
            if let Some(prepared) = ran.prepared {
                return Ok(Worked { rows, wrote: Wrote::Ended(prepared) });
            }
            changed |= ran.changed;
            probed = ran.probed;
        }
        let (xid, name) = match probed {
            Some(probed) => probed,
            None if changed => return Ok(Worked { rows, wrote: Wrote::Something }),
            None => self.probe().await?,
        };
        if name != branch.to_string() {
            return Err(Fault::renamed());
        }
        Ok(Worked { rows, wrote: xid.map_or(Wrote::Nothing, Wrote::Under) })
    }

    /// Plain statements that change rows need no probe, and most branches are of that kind. They
    /// are prepared at once, unless one of them lately did not do what was expected: to take back a
    /// prepared branch costs two syncs more than to roll back an open one.
    fn behind_last(&mut self, sql: &Sql, settle: bool) -> Behind {
        let all = |is: fn(&str) -> bool| sql.statements.iter().all(|ask| is(&ask.text));
        if settle {
            return Behind::Settle;
        }
        if !all(text::is_plain) {
            return Behind::Probe;
        }
        let statements = self.statements();
        let trusted = sql.statements.iter().all(|ask| statements.is_trusted(&ask.text));
        let writes = sql.statements.iter().any(|ask| text::changes_rows(&ask.text));
        if trusted && writes { Behind::Prepare } else { Behind::Nothing }
    }

    /// Sends a chunk and what belongs behind it, and judges the answers. The first failure in the
    /// order of sending is the cause of those behind it.
    async fn run_chunk(
        &mut self,
        branch: &BranchId,
        begin: Option<&str>,
        chunk: &[Asked],
        known: &[Statement],
        behind: Behind,
        room: &AtomicUsize,
    ) -> Result<Ran, Fault> {
        self.prepare_sent = behind == Behind::Prepare;
        let (begun, answers, mut ran) = join3(
            self.batch(begin),
            join_all(chunk.iter().zip(known).map(|(ask, known)| self.run(ask, known, room))),
            self.send_behind(branch, behind),
        )
        .await;
        self.answered |= begun.is_ok();
        let mut failed = begun.err();
        for (ask, answer) in chunk.iter().zip(answers) {
            match answer {
                Ok((count, returned)) => {
                    self.statements().note(&ask.text, false);
                    if let Ok(ran) = &mut ran {
                        ran.changed |= count > 0 && text::changes_rows(&ask.text);
                        ran.rows.extend(returned);
                    }
                }
                Err(fault) => {
                    self.statements().note(&ask.text, fault.state().is_empty());
                    failed = failed.or(Some(fault));
                }
            }
        }
        match failed {
            None => ran,
            Some(fault) => {
                if let Ok(Ran { prepared: Some(prepared), .. }) = ran {
                    self.take_back(branch, prepared).await;
                }
                Err(fault)
            }
        }
    }

    async fn send_behind(&self, branch: &BranchId, behind: Behind) -> Result<Ran, Fault> {
        let mut ran = Ran { rows: Vec::new(), changed: false, probed: None, prepared: None };
        match behind {
            Behind::Nothing => {}
            Behind::Settle => {
                let settle = self.batch(Some("SET CONSTRAINTS ALL IMMEDIATE"));
                let (settled, probed) = join(settle, self.probe()).await;
                settled?;
                ran.probed = Some(probed?);
            }
            Behind::Probe => ran.probed = Some(self.probe().await?),
            Behind::Prepare => ran.prepared = Some(self.prepare(branch).await),
        }
        Ok(ran)
    }

    /// Makes sure that a branch is not prepared whose PREPARE was sent along with work that failed.
    /// If that cannot be known, `prepare_sent` stays.
    async fn take_back(&mut self, branch: &BranchId, prepared: Result<(Proof, Cleaning), Fault>) {
        let is_gone = match prepared {
            Ok(_) => matches!(self.roll_back_prepared(branch).await, Ok(true)),
            // Skipped with the failed block, or refused; unless somebody else prepared this branch.
            Err(fault @ Fault::Refused { .. }) => fault.state() != "42710",
            Err(Fault::Broken(_)) => false,
        };
        self.prepare_sent = !is_gone;
    }

    /// The prepared form of each statement. What is new to this connection is parsed inside the
    /// block, in the same trip as its BEGIN.
    async fn learn(
        &mut self,
        begin: &mut Option<&str>,
        chunk: &[Asked],
    ) -> Result<Vec<Statement>, Fault> {
        let statements = self.statements();
        let known: Vec<_> = chunk.iter().map(|ask| statements.touch(&ask.text)).collect();
        let unknown = chunk.iter().zip(&known).filter(|(_, known)| known.is_none());
        let mut new: Vec<&str> = unknown.map(|(ask, _)| ask.text.as_str()).collect();
        new.sort_unstable();
        new.dedup();
        if !new.is_empty() {
            let (begun, parsed) = join(
                self.batch(begin.take()),
                join_all(new.iter().map(|text| self.client().prepare(text))),
            )
            .await;
            begun?;
            self.answered = true;
            for (text, parsed) in new.into_iter().zip(parsed) {
                self.statements().put(text, parsed?);
            }
        }
        let statements = self.statements();
        let known = known.into_iter().zip(chunk).map(|(known, ask)| {
            known.or_else(|| statements.touch(&ask.text)).expect("the cache holds a whole chunk")
        });
        Ok(known.collect())
    }

    async fn batch(&self, text: Option<&str>) -> Result<(), Fault> {
        match text {
            Some(text) => Ok(self.client().batch_execute(text).await?),
            None => Ok(()),
        }
    }

    /// Runs one statement; answers the count of its rows, and the rows if they are asked for.
    async fn run(
        &self,
        ask: &Asked,
        known: &Statement,
        room: &AtomicUsize,
    ) -> Result<(u64, Option<Rows>), Fault> {
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
            _ => Ok((count, rows)),
        }
    }

    async fn probe(&self) -> Result<Probed, Fault> {
        let row = self.client().query_one(self.probe_statement(), &[]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
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
