//! PostgreSQL as a participant: `PREPARE TRANSACTION`, `COMMIT PREPARED`, `ROLLBACK PREPARED`.
//!
//! `work` and `session` are the first phase on one connection, `finish` is the second
//! and the proof of what became of a branch, `pool` the bounded connections,
//! `crate::branches` what this process works on right now. Nothing here decides: it does as
//! told and says what it knows.

mod check;
mod finish;
mod session;
mod work;

mod connect;
mod errors;
mod pool;
mod statements;
mod text;
mod values;

use std::{sync::Arc, time::Duration};

use handfast_core::{
    id::{BranchId, Cluster},
    vote::{
        Ack,
        Cause::{Passing, Request},
        Proof, Refusal, Vote,
    },
    work::{Isolation, Rows, Sql, Work},
};
use tokio::time::{Instant, timeout, timeout_at};

use self::{
    errors::Fault,
    pool::{Lease, Pool},
    session::Cleaning,
    statements::Statements,
    work::{Worked, Wrote},
};
use crate::{
    Finding, InDoubt, Participant, Pending, Prepared, Settings, Unreachable,
    branches::{Active, Branches, Working},
    refusal::{self, refusal},
};

/// Most time that an abort waits for work of this process to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the adapter. Does not connect yet.
///
/// # Errors
/// What is wrong with the settings, without secrets.
pub fn open(settings: Settings) -> Result<Arc<dyn Participant>, String> {
    let pool = Pool::new(&settings)?;
    Ok(Arc::new(Postgres {
        pool,
        branches: Branches::default(),
        cluster: settings.cluster,
        connections_max: settings.connections_max,
        finish_timeout: settings.connect_timeout + settings.statement_timeout,
    }))
}

struct Postgres {
    pool: Arc<Pool>,
    branches: Branches<Lease>,
    cluster: Cluster,
    connections_max: usize,
    /// Most time of one command of the second phase, with the connection it may need.
    finish_timeout: Duration,
}

impl Participant for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
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
        Box::pin(self.finishing(async move |lease: &Lease| {
            lease.session.commit_prepared(&branch, &proof).await
        }))
    }

    fn commit_one_phase(&self, branch: BranchId, proof: Proof) -> Pending<'_, Ack> {
        Box::pin(async move { self.commit_held(&branch, &proof).await })
    }

    fn abort(&self, branch: BranchId, proof: Proof) -> Pending<'_, Ack> {
        Box::pin(async move { self.abort_any(&branch, &proof).await })
    }

    fn in_doubt(&self) -> Pending<'_, Result<InDoubt, Unreachable>> {
        Box::pin(async move {
            let listed = timeout(self.finish_timeout, async {
                let lease = self.pool.finish().await?;
                let list = lease.session.in_doubt(&self.cluster).await?;
                self.pool.give_back(lease, None);
                Ok::<_, Fault>(list)
            });
            match listed.await {
                Ok(listed) => listed.map_err(|fault| Unreachable(fault.message())),
                Err(_) => Err(Unreachable(self.late())),
            }
        })
    }

    fn check(&self) -> Pending<'_, Vec<Finding>> {
        Box::pin(check::check(self.pool.connector(), &self.cluster, self.connections_max))
    }
}

impl Postgres {
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
        let Some(mut working) = self.branches.start(branch) else {
            let why = "this branch was worked on or aborted before";
            return lost(refusal(refusal::BRANCH_REUSED, Request, why));
        };
        let worked = tokio::select! {
            biased;
            () = working.stopped() => return lost(told_to_abort()),
            worked = self.work(branch, &sql, within, held) => worked,
        };
        let (lease, worked) = match worked {
            Ok(worked) => worked,
            Err(vote) => return vote,
        };
        match worked.wrote {
            Wrote::Nothing => self.read_only(lease, &sql, worked.rows, deadline).await,
            Wrote::Under(xid) if held => hold(working, lease, &xid, worked.rows),
            Wrote::Under(_) | Wrote::Something => {
                self.prepare_worked(branch, working, lease, worked.rows, deadline).await
            }
            Wrote::Ended(prepared) => self.vote(lease, prepared, worked.rows),
        }
    }

    /// Does the work on a session of the pool. A session that turns out to be dead before its
    /// first answer is replaced, as long as nothing can have happened on it: until a PREPARE is
    /// sent, closing the connection undoes everything. The error is the vote.
    async fn work(
        &self,
        branch: &BranchId,
        sql: &Sql,
        within: Duration,
        settle: bool,
    ) -> Result<(Lease, Worked), Prepared> {
        let deadline = Instant::now() + within;
        let late = |what| refusal(refusal::TIMEOUT, Passing, format!("{what} within {within:?}"));
        loop {
            let leased = timeout_at(deadline, self.pool.work()).await;
            let leased = leased.map_err(|_| no(late("no connection was free")))?;
            let mut lease = leased.map_err(|fault| no(fault.refusal()))?;
            let worked = timeout_at(deadline, lease.session.work(branch, sql, settle)).await;
            let may_be_prepared = lease.session.prepare_sent;
            let fault = match worked {
                Ok(Ok(worked)) => return Ok((lease, worked)),
                Err(_) => {
                    self.evict_later(branch);
                    let why = late("the statements did not end");
                    return Err(if may_be_prepared { lost(why) } else { no(why) });
                }
                Ok(Err(fault)) if may_be_prepared => return Err(lost(fault.refusal())),
                Ok(Err(Fault::Broken(_))) if lease.reused && !lease.session.answered => continue,
                Ok(Err(Fault::Broken(why))) => return Err(no(Fault::Broken(why).refusal())),
                Ok(Err(fault)) => fault,
            };
            if matches!(fault.state(), "0A000" | "26000") {
                *lease.session.statements() = Statements::default();
            }
            let cleaning = lease.session.clean(true);
            self.pool.give_back(lease, Some(cleaning));
            return Err(no(fault.refusal()));
        }
    }

    /// Ends a branch that wrote nothing: there is nothing to prepare.
    ///
    /// By a rollback: a commit would send its notifications, before the decision and despite an
    /// abort. A serializable reader commits what it read, since only that says whether what it saw
    /// ever was.
    async fn read_only(
        &self,
        lease: Lease,
        sql: &Sql,
        rows: Vec<Rows>,
        deadline: Instant,
    ) -> Prepared {
        let end = async {
            match sql.isolation {
                Some(Isolation::Serializable) => lease.session.commit_reads().await,
                _ => lease.session.roll_back().await,
            }
        };
        match timeout_at(deadline, end).await {
            Ok(Ok(cleaning)) => {
                self.pool.give_back(lease, Some(cleaning));
                Prepared { vote: Vote::ReadOnly, rows }
            }
            // A serializable reader may be refused at the end: what it saw never was.
            Ok(Err(fault)) => no(fault.refusal()),
            Err(_) => no(refusal(refusal::TIMEOUT, Passing, "no answer to the commit in time")),
        }
    }

    async fn prepare_worked(
        &self,
        branch: &BranchId,
        mut working: Working<'_, Lease>,
        lease: Lease,
        rows: Vec<Rows>,
        deadline: Instant,
    ) -> Prepared {
        let prepared = tokio::select! {
            biased;
            () = working.stopped() => return lost(told_to_abort()),
            prepared = timeout_at(deadline, lease.session.prepare(branch)) => prepared,
        };
        match prepared {
            Ok(prepared) => self.vote(lease, prepared, rows),
            Err(_) => lost(refusal(refusal::TIMEOUT, Passing, "no answer to the prepare in time")),
        }
    }

    /// What the answer to a PREPARE means.
    fn vote(
        &self,
        lease: Lease,
        prepared: Result<(Proof, Cleaning), Fault>,
        rows: Vec<Rows>,
    ) -> Prepared {
        match prepared {
            Ok((proof, cleaning)) => {
                self.pool.give_back(lease, Some(cleaning));
                Prepared { vote: Vote::Yes(proof), rows }
            }
            // Not ours: somebody prepared this very branch already.
            Err(fault) if fault.state() == "42710" => {
                lost(refusal(refusal::BRANCH_REUSED, Request, fault.message()))
            }
            Err(Fault::Broken(why)) => lost(refusal(refusal::UNREACHABLE, Passing, why)),
            Err(fault) => {
                let cleaning = lease.session.clean(true);
                self.pool.give_back(lease, Some(cleaning));
                no(fault.prepare_refusal())
            }
        }
    }

    async fn commit_held(&self, branch: &BranchId, proof: &Proof) -> Ack {
        let Ok(held) = self.branches.commit(branch) else {
            return Ack::Unknown("its work or its commit is under way".into());
        };
        // The guard, if any, keeps others away until the answer is known.
        let _guard = match held {
            None => None,
            Some((lease, guard)) => {
                let committed = timeout(self.finish_timeout, lease.session.commit()).await;
                if let Ok(Ok(cleaning)) = committed {
                    self.pool.give_back(lease, Some(cleaning));
                    return Ack::Finished;
                }
                Some(guard)
            }
        };
        // The session is gone, or its answer was: only the server's books tell. A backend that is
        // still at it, maybe waiting for a process that died, is ended: it committed or it did not.
        self.finishing(async |lease: &Lease| match lease.session.evict(branch).await {
            Ok(true) => lease.session.committed(branch, proof).await,
            Ok(false) => Ack::Unknown("the backend that works on it does not go away".into()),
            Err(fault) => Ack::Unknown(fault.message()),
        })
        .await
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
            Some(Active::Held(lease)) => {
                let undone = timeout(self.finish_timeout, lease.session.roll_back()).await;
                if let Ok(Ok(cleaning)) = undone {
                    self.pool.give_back(lease, Some(cleaning));
                    return Ack::Finished;
                }
            }
        }
        self.finishing(async |lease: &Lease| lease.session.abort_prepared(branch, proof).await)
            .await
    }

    /// Runs a command of the second phase on a session of the pool, for a bounded time.
    async fn finishing<F>(&self, command: F) -> Ack
    where
        F: AsyncFnOnce(&Lease) -> Ack,
    {
        let run = async {
            let lease = match self.pool.finish().await {
                Ok(lease) => lease,
                Err(fault) => return Ack::Unknown(fault.message()),
            };
            let ack = command(&lease).await;
            if !matches!(ack, Ack::Unknown(_)) {
                self.pool.give_back(lease, None);
            }
            ack
        };
        timeout(self.finish_timeout, run).await.unwrap_or_else(|_| Ack::Unknown(self.late()))
    }

    /// Frees the locks of a branch that ran out of time; an abort would do the same.
    fn evict_later(&self, branch: &BranchId) {
        let (pool, branch, limit) = (self.pool.clone(), branch.clone(), self.finish_timeout);
        tokio::spawn(timeout(limit, async move {
            if let Ok(lease) = pool.finish().await
                && lease.session.evict(&branch).await.is_ok()
            {
                pool.give_back(lease, None);
            }
        }));
    }

    fn late(&self) -> String {
        format!("no answer within {:?}", self.finish_timeout)
    }
}

fn hold(working: Working<'_, Lease>, lease: Lease, xid: &str, rows: Vec<Rows>) -> Prepared {
    let proof = lease.session.proof(xid);
    match working.hold(lease) {
        Ok(()) => Prepared { vote: Vote::Yes(proof), rows },
        // Dropping the session rolls it back.
        Err(_) => no(told_to_abort()),
    }
}

fn told_to_abort() -> Refusal {
    refusal(refusal::ABORTED, Passing, "the branch was told to abort while it worked")
}

fn no(refusal: Refusal) -> Prepared {
    Prepared { vote: Vote::No(refusal), rows: Vec::new() }
}

fn lost(refusal: Refusal) -> Prepared {
    Prepared { vote: Vote::Lost(refusal), rows: Vec::new() }
}
