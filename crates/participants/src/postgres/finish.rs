//! The second phase, and how a branch's fate is proved.
//!
//! "No such prepared transaction" is never taken as an answer: it may be committed, rolled back by
//! someone else, not yet prepared, or on another server. The transaction id taken before the
//! prepare tells which.

use std::time::{Duration, Instant};

use handfast_core::{
    id::BranchId,
    vote::{Ack, Proof},
};

use super::{errors::Fault, session::Session};
use crate::{InDoubt, refusal::bounded};

/// Most time to wait for a backend that was told to go.
const EVICT_TIMEOUT: Duration = Duration::from_secs(5);
/// Wait between two looks at whether it is gone.
const EVICT_PAUSE: Duration = Duration::from_millis(5);

/// What is proved about a branch that is not found prepared.
enum Fate {
    Committed,
    RolledBack,
    /// Its transaction is still running or prepared.
    Open,
    /// Nothing can be proved; says why.
    Unprovable(String),
}

impl Session {
    /// Commits a prepared branch, or finds out what became of it.
    pub(super) async fn commit_prepared(&self, branch: &BranchId, proof: &Proof) -> Ack {
        let done = self.client().batch_execute(&format!("COMMIT PREPARED '{branch}'")).await;
        match done.map_err(Fault::from) {
            Ok(()) => Ack::Finished,
            Err(fault) if fault.state() == "42704" => self.committed(branch, proof).await,
            Err(fault) => not_finished(fault),
        }
    }

    /// Whether a branch that ought to be committed is.
    pub(super) async fn committed(&self, branch: &BranchId, proof: &Proof) -> Ack {
        match self.fate(branch, proof).await {
            Ok(Fate::Committed) => Ack::Finished,
            Ok(Fate::RolledBack) => Ack::Heuristic(
                "its transaction was rolled back by someone else, or with its session".into(),
            ),
            Ok(Fate::Open) => Ack::Unknown("its transaction is still open".into()),
            Ok(Fate::Unprovable(why)) => Ack::Broken(why),
            Err(fault) => not_finished(fault),
        }
    }

    /// Rolls back a branch that no task of this process works on or holds.
    pub(super) async fn abort_prepared(&self, branch: &BranchId, proof: &Proof) -> Ack {
        match self.try_abort(branch, proof).await {
            Ok(ack) => ack,
            Err(fault) => not_finished(fault),
        }
    }

    async fn try_abort(&self, branch: &BranchId, proof: &Proof) -> Result<Ack, Fault> {
        if self.roll_back_prepared(branch).await? {
            return Ok(Ack::Finished);
        }
        // A session of ours, maybe of a process that died, could still be about to prepare it.
        // Its block shows the branch's name from BEGIN until the prepared branch can be seen.
        if !self.evict(branch).await? {
            return Ok(Ack::Unknown("the backend that works on it does not go away".into()));
        }
        if self.roll_back_prepared(branch).await? || proof.0.is_empty() {
            return Ok(Ack::Finished);
        }
        Ok(match self.fate(branch, proof).await? {
            Fate::RolledBack => Ack::Finished,
            Fate::Committed => {
                Ack::Heuristic("its transaction was committed by someone else".into())
            }
            Fate::Open => Ack::Unknown("its transaction is still open".into()),
            Fate::Unprovable(why) => Ack::Broken(why),
        })
    }

    /// False if there is no such prepared transaction.
    pub(super) async fn roll_back_prepared(&self, branch: &BranchId) -> Result<bool, Fault> {
        let done = self.client().batch_execute(&format!("ROLLBACK PREPARED '{branch}'")).await;
        match done.map_err(Fault::from) {
            Ok(()) => Ok(true),
            Err(fault) if fault.state() == "42704" => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Ends every backend that works on the branch; true once all are gone.
    pub(super) async fn evict(&self, branch: &BranchId) -> Result<bool, Fault> {
        const EVICT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                             WHERE application_name = $1 AND pid <> pg_backend_pid()";
        let (name, start) = (branch.to_string(), Instant::now());
        while start.elapsed() < EVICT_TIMEOUT {
            let left: i64 = self.client().query_one_scalar(EVICT, &[&name]).await?;
            if left == 0 {
                return Ok(true);
            }
            tokio::time::sleep(EVICT_PAUSE).await;
        }
        Ok(false)
    }

    async fn fate(&self, branch: &BranchId, proof: &Proof) -> Result<Fate, Fault> {
        const FATE: &str = "SELECT EXISTS (SELECT FROM pg_prepared_xacts WHERE gid = $1), \
                            pg_xact_status($2::text::xid8)";
        let Some((server, xid)) = read(proof) else {
            return Ok(Fate::Unprovable(format!("no proof of ours: {:?}", proof.0)));
        };
        if !self.server().is(server) {
            let here = self.server();
            return Ok(Fate::Unprovable(format!(
                "it ran on the server {server}; this one is {here}: another one, restored, failed \
                 over, or hidden from our user (pg_control_system)"
            )));
        }
        let row = match self.client().query_one(FATE, &[&branch.to_string(), &xid]).await {
            Ok(row) => row,
            Err(error) => {
                let fault = Fault::from(error);
                // "transaction ID ... is in the future".
                if fault.state() == "22023" {
                    return Ok(Fate::Unprovable(fault.message()));
                }
                return Err(fault);
            }
        };
        let (prepared, status): (bool, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
        Ok(match status.as_deref() {
            _ if prepared => Fate::Open,
            Some("in progress") => Fate::Open,
            Some("committed") => Fate::Committed,
            Some("aborted") => Fate::RolledBack,
            _ => Fate::Unprovable(format!("the server no longer knows the transaction {xid}")),
        })
    }

    /// The prepared transactions of this database.
    pub(super) async fn in_doubt(
        &self,
        ours: &handfast_core::id::Cluster,
    ) -> Result<InDoubt, Fault> {
        const LIST: &str = "SELECT gid, \
             (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint \
             FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared";
        let mut list = InDoubt::default();
        for row in self.client().query(LIST, &[]).await? {
            let (gid, age_ms): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
            match BranchId::parse(gid).filter(|branch| branch.cluster == *ours) {
                Some(branch) => list.own.push((branch, u64::try_from(age_ms).ok())),
                None => list.foreign += 1,
            }
        }
        Ok(list)
    }
}

/// The answer when a command of the second phase failed. No failure says what became of the
/// branch; a few say that trying again does not help by itself.
fn not_finished(fault: Fault) -> Ack {
    match fault.state() {
        // Not the role that prepared it; not the database in which it was prepared.
        "42501" | "0A000" => Ack::Broken(bounded(fault.message())),
        _ => Ack::Unknown(bounded(fault.message())),
    }
}

/// Server and transaction id of a proof.
fn read(proof: &Proof) -> Option<(&str, &str)> {
    let (server, xid) = proof.0.strip_prefix("pg:")?.split_once(':')?;
    let number = !xid.is_empty() && xid.len() <= 20 && xid.bytes().all(|b| b.is_ascii_digit());
    number.then_some((server, xid))
}
