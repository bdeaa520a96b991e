//! The marker table: one row per committed branch, the proof that it was.

use handfast_core::{
    id::{BranchId, Cluster},
    vote::Proof,
};

use super::{
    errors,
    sessions::{Session, Stopped},
};

/// How long a marker is kept, in hours.
pub(super) const KEPT_HOURS: u64 = 24;
/// How long after a branch began a missing marker proves that it was rolled back, in hours. Less
/// than markers are kept, by more than a change between summer and winter time.
const PROVES_HOURS: u64 = 22;
const _: () = assert!(PROVES_HOURS < KEPT_HOURS - 1);
/// How many old markers are removed by one statement.
const PRUNED_AT_ONCE: u64 = 1000;

/// The table's name, quoted.
#[derive(Clone)]
pub(super) struct Marker(String);

/// What the marker tells of a branch that has no session any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It was committed.
    Committed,
    /// Its transaction is still there.
    Undecided,
    /// It was rolled back, or never came so far, or is long past.
    Absent {
        /// The server's time, in seconds since 1970.
        now_s: u64,
    },
    /// There is no table, so nobody can tell.
    NoTable,
}

impl Marker {
    /// Checks the name of the table. It is in the database of the resource.
    pub(super) fn new(database: &str, table: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        if table.is_empty() || table.len() > 64 || !table.chars().all(plain) {
            return Err(format!(
                "marker_table `{table}` must be 1 to 64 of letters, digits, `_` and `$`"
            ));
        }
        Ok(Self(format!("`{}`.`{table}`", database.replace('`', "``"))))
    }

    /// Makes the table if it is missing. Must not be called within a transaction.
    pub(super) async fn ensure(&self, session: &mut Session) -> Result<(), Stopped> {
        // Asked first: where the table is there, no right to make one is needed.
        match session.batch(&format!("SELECT 1 FROM {} LIMIT 0", self.0)).await {
            Err(stopped) if errors::number(&stopped.error) == errors::NO_SUCH_TABLE => {}
            found => return found.map(drop),
        }
        let make = format!(
            "CREATE TABLE IF NOT EXISTS {} (\
             branch VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, \
             at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, KEY (at)) ENGINE = InnoDB",
            self.0
        );
        session.batch(&make).await.map(drop)
    }

    /// Leaves a branch's marker. Fails, and with it everything that is sent behind it, if the
    /// session has lost the name lock: a caller's statement may have released it.
    pub(super) fn insert(&self, branch: &BranchId) -> String {
        format!(
            "INSERT INTO {} (branch) \
             VALUES (IF(IS_USED_LOCK('{branch}') <=> CONNECTION_ID(), '{branch}', NULL))",
            self.0
        )
    }

    /// Leaves a marker and takes it back, in a branch of this session that is never prepared.
    pub(super) fn trial(&self, session: &Session) -> String {
        let table = &self.0;
        let name = format!("'handfast-check-{}'", session.id());
        format!(
            "XA START {name}; INSERT INTO {table} (branch) VALUES ({name}); \
             DELETE FROM {table} WHERE branch = {name}; XA END {name}; XA ROLLBACK {name}"
        )
    }

    /// The table's name, quoted.
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// Looks for a branch's marker.
    pub(super) async fn look(
        &self,
        session: &mut Session,
        branch: &BranchId,
    ) -> Result<Mark, Stopped> {
        // A row that somebody inserted and has not committed is found by its lock. The level is
        // named: above it a missing row would be locked, below it an uncommitted one be seen.
        let look = format!(
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SELECT 1 FROM {} WHERE branch = '{branch}' FOR UPDATE NOWAIT; \
             SELECT UNIX_TIMESTAMP()",
            self.0
        );
        match session.batch(&look).await {
            Ok(mut sets) => {
                // The time is asked last: a marker that was removed is never taken for younger.
                let now_s = super::xa::cell(&[sets.pop().unwrap_or_default()], 0);
                Ok(match sets.iter().all(Vec::is_empty) {
                    true => Mark::Absent { now_s: now_s.unwrap_or(u64::MAX) },
                    false => Mark::Committed,
                })
            }
            Err(stopped) => match errors::number(&stopped.error) {
                errors::LOCK_TIMEOUT | errors::LOCK_NOWAIT => Ok(Mark::Undecided),
                errors::NO_SUCH_TABLE => Ok(Mark::NoTable),
                _ => Err(stopped),
            },
        }
    }

    /// Removes some of a cluster's markers that are old enough. Answers whether there may be more.
    pub(super) async fn prune(
        &self,
        session: &mut Session,
        cluster: &Cluster,
    ) -> Result<bool, Stopped> {
        // A name ends before its `_`, and no name has one.
        let ours = format!("{}{cluster}", BranchId::PREFIX);
        // Below repeatable read no gaps are locked, so that branches can go on writing.
        let prune = format!(
            "SET innodb_lock_wait_timeout = 1; \
             SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             DELETE FROM {} WHERE at < NOW() - INTERVAL {KEPT_HOURS} HOUR \
             AND LEFT(branch, {}) = '{ours}_' ORDER BY at LIMIT {PRUNED_AT_ONCE}; \
             SELECT ROW_COUNT()",
            self.0,
            ours.len() + 1,
        );
        let sets = session.batch(&prune).await?;
        let last: Vec<_> = sets.into_iter().rev().take(1).collect();
        Ok(super::xa::cell::<u64>(&last, 0) == Some(PRUNED_AT_ONCE))
    }
}

/// The proof of a branch that began at this time of the server.
pub(super) fn proof(began_s: u64) -> Proof {
    Proof(format!("my:{began_s}"))
}

/// Why a marker that is missing proves nothing about the branch with this proof.
pub(super) fn proves_nothing(proof: &Proof, now_s: u64) -> Option<String> {
    let began_s = proof.0.strip_prefix("my:").and_then(|text| text.parse::<u64>().ok());
    let Some(began_s) = began_s else {
        return Some(format!("its marker is not there, and no proof of ours: {:?}", proof.0));
    };
    let hours = now_s.saturating_sub(began_s) / 3600;
    (hours >= PROVES_HOURS).then(|| {
        format!(
            "proof expired: its marker is not there, but it began {hours} h ago and markers are \
             kept for {KEPT_HOURS} h; look at its rows to see whether it was committed"
        )
    })
}
