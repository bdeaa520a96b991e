//! MariaDB and MySQL as participants: `XA PREPARE`, `XA COMMIT`, `XA ROLLBACK`.
//!
//! `xa` says how it is proved what became of a branch; `work` is the first phase, `finish`
//! the second on any session, `sessions` the bounded connections.
//!
//! Both servers are one adapter. They differ in what a session can do after it prepared, see
//! `sessions::Server::detaches`: where it is bound to its branch, it is kept, and the decision
//! is carried out on that very session.

mod check;
mod finish;
mod marker;
mod sessions;
mod work;
mod xa;

mod errors;
mod statements;
mod values;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use handfast_core::{
    id::{BranchId, Cluster},
    vote::{
        Ack,
        Cause::{Passing, Request},
        Proof, Refusal, Vote,
    },
    work::{Rows, Sql, Work},
};
use tokio::time::{Instant, timeout, timeout_at};

use self::{
    finish::Verb,
    marker::Marker,
    sessions::{Session, Sessions, Stopped},
    work::{Fault, Limits, Task},
    xa::Listed,
};
use crate::{
    Finding, InDoubt, Participant, Pending, Prepared, Settings, Unreachable,
    branches::{Active, Branches, Working},
    refusal::{self, refusal},
};

/// Most time that an abort waits for work of this process to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Most time that one removal of old markers goes on.
const PRUNE_TIMEOUT: Duration = Duration::from_secs(1);
/// Old markers are removed each time the server has answered for so many times as long as one call
/// of the second phase may take. Calls that wait for their turn come every few seconds.
const CONTACT: u32 = 3;

/// Makes the adapter. Does not connect yet.
///
/// # Errors
/// What is wrong with the settings, without secrets.
pub fn open(settings: Settings) -> Result<Arc<dyn Participant>, String> {
    let sessions = Sessions::new(&settings)?;
    let marker = Marker::new(sessions.database(), &settings.marker_table)
        .map_err(|why| format!("resource `{}`: {why}", settings.name))?;
    Ok(Arc::new(Mysql {
        sessions,
        marker,
        marker_known: AtomicBool::new(false),
        contact_since: Mutex::default(),
        branches: Branches::default(),
        cluster: settings.cluster,
        statement_timeout: settings.statement_timeout,
        lock_timeout: settings.lock_timeout,
        finish_timeout: settings.connect_timeout + settings.statement_timeout,
    }))
}

/// A branch whose work is done, still open.
struct Worked {
    session: Session,
    rows: Vec<Rows>,
    /// By which its end can be told.
    proof: Proof,
}

struct Mysql {
    sessions: Arc<Sessions>,
    marker: Marker,
    /// Whether the marker table was seen.
    marker_known: AtomicBool,
    /// Since when every search was answered, or when markers were last removed.
    contact_since: Mutex<Option<Instant>>,
    branches: Branches<Session>,
    cluster: Cluster,
    statement_timeout: Duration,
    lock_timeout: Duration,
    /// Most time of one call of the second phase, with the connection it may need.
    finish_timeout: Duration,
}

impl Participant for Mysql {
    fn kind(&self) -> &'static str {
        "mysql"
    }

    fn one_phase(&self) -> bool {
        true
    }

    fn prepare(&self, branch: BranchId, work: Work, within: Duration) -> Pending<'_, Prepared> {
        Box::pin(async move { self.first_phase(&branch, work, within, false).await })
    }

    fn hold(&self, branch: BranchId, work: Work, within: Duration) -> Pending<'_, Prepared> {
        Box::pin(async move { self.first_phase(&branch, work, within, true).await })
    }

    fn commit(&self, branch: BranchId, proof: Proof) -> Pending<'_, Ack> {
        Box::pin(async move {
            let command = format!("XA COMMIT {}", xa::xid(&branch));
            self.commit_kept(&branch, &proof, &command, Verb::Commit).await
        })
    }

    fn commit_one_phase(&self, branch: BranchId, proof: Proof) -> Pending<'_, Ack> {
        Box::pin(async move {
            let command = format!("XA COMMIT {} ONE PHASE", xa::xid(&branch));
            self.commit_kept(&branch, &proof, &command, Verb::Look).await
        })
    }

    fn abort(&self, branch: BranchId, proof: Proof) -> Pending<'_, Ack> {
        Box::pin(async move { self.abort_any(&branch, &proof).await })
    }

    fn in_doubt(&self) -> Pending<'_, Result<InDoubt, Unreachable>> {
        Box::pin(async move {
            match timeout(self.finish_timeout, self.list()).await {
                Ok(Ok((found, session))) => {
                    self.prune(session);
                    Ok(found)
                }
                failed => {
                    *self.contact_since() = None;
                    Err(Unreachable(
                        failed.map_or_else(
                            |_| self.late(),
                            |listed| listed.err().unwrap_or_default(),
                        ),
                    ))
                }
            }
        })
    }

    fn check(&self) -> Pending<'_, Vec<Finding>> {
        Box::pin(async move { check::check(&self.sessions, &self.marker).await })
    }
}

impl Mysql {
    /// Prepares a branch or, if `held`, keeps it open.
    async fn first_phase(
        &self,
        branch: &BranchId,
        work: Work,
        within: Duration,
        held: bool,
    ) -> Prepared {
        let deadline = Instant::now() + within;
        let Work::Sql(sql) = work else {
            let why = "this resource is a database: it takes `sql`, neither `keys` nor calls";
            return no(refusal(refusal::WRONG_WORK, Request, why));
        };
        let Some(mut working) = self.branches.start(branch) else { return lost(reused()) };
        let limits = self.limits(&sql, within);
        let task = Task { branch, sql: &sql, limits, marker: &self.marker, held };
        // Until the branch is sealed, ending its session is enough to undo everything.
        let worked = tokio::select! {
            biased;
            () = working.stopped() => return no(told_to_abort()),
            worked = timeout_at(deadline, self.work(&task)) => worked,
        };
        match worked {
            Err(_) => no(refusal(refusal::TIMEOUT, Passing, format!("no vote within {within:?}"))),
            Ok(Err(prepared)) => prepared,
            Ok(Ok(worked)) => self.seal(task, working, worked, deadline).await,
        }
    }

    /// Does the work on a session. An idle session that turns out to be dead before its first
    /// answer is replaced: nothing can have happened on it.
    async fn work(&self, task: &Task<'_>) -> Result<Worked, Prepared> {
        loop {
            let mut session = self.sessions.work().await.map_err(no)?;
            let begun = match self.begin(task, &mut session).await {
                Ok(begun) => begun,
                Err(Fault::Dead(_)) if session.reused => {
                    self.sessions.forget_idle();
                    continue;
                }
                Err(Fault::Reused) => return Err(lost(reused())),
                Err(Fault::Dead(why) | Fault::Refused(why)) => return Err(no(why)),
            };
            let ran = async {
                let rows = task.run(&mut session).await?;
                let wrote = task.wrote(&mut session, &begun).await?;
                Ok((rows, wrote))
            }
            .await;
            return match ran {
                Ok((rows, true)) => Ok(Worked { session, rows, proof: begun.proof }),
                Ok((rows, false)) => {
                    undo(task, session).await;
                    Err(Prepared { vote: Vote::ReadOnly, rows })
                }
                Err(Fault::Refused(why)) => {
                    undo(task, session).await;
                    Err(no(why))
                }
                Err(Fault::Reused) => Err(lost(reused())),
                Err(Fault::Dead(why)) => Err(no(why)),
            };
        }
    }

    async fn begin(&self, task: &Task<'_>, session: &mut Session) -> Result<work::Begun, Fault> {
        if !self.marker_known.load(Relaxed) {
            let made = self.marker.ensure(session).await;
            made.map_err(|stopped| work::fault(&stopped.error))?;
            self.marker_known.store(true, Relaxed);
        }
        task.begin(session).await
    }

    /// Leaves the marker and prepares the branch, or ends it for its one-phase commit.
    async fn seal(
        &self,
        task: Task<'_>,
        mut working: Working<'_, Session>,
        Worked { mut session, rows, proof }: Worked,
        deadline: Instant,
    ) -> Prepared {
        // Of a held branch nothing stays if its session ends; a prepared one may arrive late.
        let in_between = if task.held { no } else { lost };
        let sealed = tokio::select! {
            biased;
            () = working.stopped() => return in_between(told_to_abort()),
            sealed = timeout_at(deadline, task.seal(&mut session)) => sealed,
        };
        match sealed {
            Err(_) => in_between(refusal(refusal::TIMEOUT, Passing, "no answer to the prepare")),
            Ok(Ok(())) => {
                if session.server.detaches && !task.held {
                    session.works_on(None);
                    session.give_back();
                } else if working.hold(session).is_err() {
                    return in_between(told_to_abort());
                }
                Prepared { vote: Vote::Yes(proof), rows }
            }
            Ok(Err(stopped)) => match self.not_sealed(&task, stopped) {
                Vote::No(why) => {
                    undo(&task, session).await;
                    no(why)
                }
                vote => Prepared { vote, rows: Vec::new() },
            },
        }
    }

    /// What follows from a message that prepares but did not run to its end. The marker is its
    /// second statement, the prepare its fourth.
    fn not_sealed(&self, task: &Task<'_>, Stopped { done, error, .. }: Stopped) -> Vote {
        let why = errors::refused(&error);
        match (done, errors::number(&error)) {
            (_, 0) if !task.held => Vote::Lost(why),
            (1, errors::DUPLICATE) => Vote::Lost(reused()),
            (1, errors::NULL) => Vote::No(refusal(
                refusal::SQL_NOT_ALLOWED,
                Request,
                "a statement released locks that the branch holds",
            )),
            (1, errors::NO_SUCH_TABLE) => {
                self.marker_known.store(false, Relaxed);
                Vote::No(refusal(refusal::SQL_ERROR, Passing, errors::in_words(&error)))
            }
            (3, code) if !errors::is_rolled_back(code) => Vote::Lost(why),
            _ => Vote::No(why),
        }
    }

    /// Commits on the session that did the work, if it is there; otherwise on another one, or
    /// finds out.
    async fn commit_kept(
        &self,
        branch: &BranchId,
        proof: &Proof,
        command: &str,
        otherwise: Verb,
    ) -> Ack {
        let Ok(held) = self.branches.commit(branch) else {
            return Ack::Unknown("its work or its commit is under way".into());
        };
        // The guard, if any, keeps others away until the answer is known.
        let mut _guard = None;
        if let Some((session, guard)) = held {
            _guard = Some(guard);
            if self.end_kept(session, command).await {
                return Ack::Finished;
            }
        }
        self.finish(branch, proof, otherwise).await
    }

    async fn abort_any(&self, branch: &BranchId, proof: &Proof) -> Ack {
        match self.branches.forbid(branch) {
            None => {}
            Some(Active::Working(tell)) => {
                let stopped = timeout(STOP_TIMEOUT, tell.closed()).await;
                if stopped.is_err() {
                    return Ack::Unknown("the work on it does not stop".into());
                }
            }
            Some(Active::Committing) => return Ack::Unknown("its commit is under way".into()),
            Some(Active::Held(session)) => {
                let command = format!("XA ROLLBACK {}", xa::xid(branch));
                if self.end_kept(session, &command).await {
                    return Ack::Finished;
                }
            }
        }
        self.finish(branch, proof, Verb::RollBack).await
    }

    /// Ends a branch on the session that worked on it. False: it is not known to be ended, and
    /// the session is closed.
    async fn end_kept(&self, mut session: Session, command: &str) -> bool {
        // From here on nobody may kill it for being dropped: it may be in the middle of a commit.
        session.works_on(None);
        let text = format!("{command}; {}", xa::UNLOCK);
        match timeout(self.finish_timeout, session.batch(&text)).await {
            Ok(Ok(_)) => {
                session.give_back();
                true
            }
            Ok(Err(stopped)) => stopped.done > 0,
            Err(_) => false,
        }
    }

    /// Ends a branch on any session.
    async fn finish(&self, branch: &BranchId, proof: &Proof, verb: Verb) -> Ack {
        let run = async {
            loop {
                let mut session = match self.sessions.finish().await {
                    Ok(session) => session,
                    Err(why) => return Ack::Unknown(why.message),
                };
                match finish::finish(&mut session, &self.marker, branch, proof, verb).await {
                    Ok(ack) => {
                        session.give_back();
                        return ack;
                    }
                    // Asking again is safe; the name lock waits for what may still be running.
                    Err(_) if session.reused => self.sessions.forget_idle(),
                    Err(error) => return errors::not_finished(&error),
                }
            }
        };
        timeout(self.finish_timeout, run).await.unwrap_or_else(|_| Ack::Unknown(self.late()))
    }

    /// What is prepared, and the session that told.
    async fn list(&self) -> Result<(InDoubt, Session), String> {
        let (session, listed) = loop {
            let mut session = self.sessions.finish().await.map_err(|why| why.message)?;
            match xa::prepared(&mut session).await {
                Ok(listed) => break (session, listed),
                Err(stopped) if stopped.error.is_fatal() && session.reused => {
                    self.sessions.forget_idle();
                }
                Err(stopped) => return Err(errors::in_words(&stopped.error)),
            }
        };
        let mut found = InDoubt::default();
        for one in listed {
            match one {
                Listed::Handfast(branch) if branch.cluster == self.cluster => {
                    found.own.push((branch, None));
                }
                Listed::Handfast(_) | Listed::Foreign => found.foreign += 1,
            }
        }
        Ok((found, session))
    }

    /// Removes old markers in the background, now and then. Not soon after the server was away: who
    /// waits to hear that a branch is committed must have asked before its marker goes.
    fn prune(&self, mut session: Session) {
        let mut since = self.contact_since();
        let contact = since.get_or_insert_with(Instant::now).elapsed();
        if contact < CONTACT * self.finish_timeout {
            return session.give_back();
        }
        *since = Some(Instant::now());
        drop(since);
        let (marker, cluster) = (self.marker.clone(), self.cluster.clone());
        tokio::spawn(async move {
            let start = Instant::now();
            while let Ok(more) = marker.prune(&mut session, &cluster).await {
                if !more || start.elapsed() > PRUNE_TIMEOUT {
                    return session.give_back();
                }
            }
        });
    }

    fn contact_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.contact_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self, sql: &Sql, within: Duration) -> Limits {
        let or = |ms: Option<u64>, default| ms.map_or(default, Duration::from_millis);
        Limits {
            statement: or(sql.statement_timeout_ms, self.statement_timeout).min(within),
            lock: or(sql.lock_timeout_ms, self.lock_timeout),
        }
    }

    fn late(&self) -> String {
        format!("no answer within {:?}", self.finish_timeout)
    }
}

/// Rolls back on the session itself and gives it back; if it cannot, closing it does the same.
async fn undo(task: &Task<'_>, mut session: Session) {
    if task.undo(&mut session).await.is_ok() {
        session.give_back();
    }
}

fn no(why: Refusal) -> Prepared {
    Prepared { vote: Vote::No(why), rows: Vec::new() }
}

fn lost(why: Refusal) -> Prepared {
    Prepared { vote: Vote::Lost(why), rows: Vec::new() }
}

fn reused() -> Refusal {
    refusal(refusal::BRANCH_REUSED, Request, "this branch was worked on or aborted before")
}

fn told_to_abort() -> Refusal {
    refusal(refusal::ABORTED, Passing, "the branch was told to abort while it worked")
}
