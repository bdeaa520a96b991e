//! The suite that every database adapter passes, on a real server.
//!
//! An adapter's tests describe a [`Bed`] and invoke [`conformance!`](crate::conformance!) with a
//! function that makes one; each case becomes a test. A case panics with what is wrong.

mod finishing;
mod refusing;
mod working;

pub use self::{finishing::*, refusing::*, working::*};

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use handfast_core::{
    id::{BranchId, Cluster, RunId},
    vote::{Ack, Cause, Proof, Refusal, Vote},
    work::{Sql, Statement, Work},
};

use crate::{Participant, Pending, Prepared};

/// A database to try an adapter on, with one table of keys and integers. It holds the keys
/// [`KEYS`], each with the value [`START`]; a value below 0 violates a constraint.
///
/// Each bed has its own table and its own cluster, so that cases can run side by side.
pub trait Bed: Send + Sync {
    /// A new adapter that shares nothing with others but the database, as after a restart of the
    /// node, with at most so many connections.
    fn participant(&self, connections_max: usize) -> Arc<dyn Participant>;

    /// Whose branches are those of this bed.
    fn cluster(&self) -> Cluster;

    /// Adds to the value of a key.
    fn add(&self, key: i64, by: i64) -> Statement;

    /// Returns the value of a key as a row of one column, without a lock.
    fn read(&self, key: i64) -> Statement;

    /// Makes a key with a value.
    fn insert(&self, key: i64, value: i64) -> Statement;

    /// Takes that long.
    fn sleep(&self, seconds: f64) -> Statement;

    /// The committed value of a key, read past the adapter.
    fn value(&self, key: i64) -> Pending<'_, Option<i64>>;

    /// Waits until some session of an adapter waits for a lock.
    fn blocked(&self) -> Pending<'_, ()>;

    /// Finishes a prepared branch as an operator would, past the adapter.
    fn finish(&self, branch: BranchId, commit: bool) -> Pending<'_, ()>;

    /// Prepares a transaction of somebody else, under this name, that changes no key of [`KEYS`].
    fn prepare_foreign(&self, name: String) -> Pending<'_, ()>;

    /// Rolls back what [`Bed::prepare_foreign`] prepared.
    fn abort_foreign(&self, name: String) -> Pending<'_, ()>;

    /// Ends every session of the adapters of this bed, on the server's side.
    fn kill(&self) -> Pending<'_, ()>;
}

/// The keys that are there.
pub const KEYS: std::ops::RangeInclusive<i64> = 1..=32;
/// The value of each.
pub const START: i64 = 100;

/// Time enough for anything that is not meant to be late.
pub const AMPLE: Duration = Duration::from_secs(30);

/// A branch id of the bed that no other case uses.
pub fn branch(bed: &dyn Bed) -> BranchId {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let run = RunId { epoch: 1, number: NUMBER.fetch_add(1, Relaxed) };
    BranchId { cluster: bed.cluster(), run, index: 0 }
}

/// The work of these statements.
pub fn work(statements: impl Into<Vec<Statement>>) -> Work {
    Work::Sql(sql(statements))
}

/// These statements, with the resource's settings.
pub fn sql(statements: impl Into<Vec<Statement>>) -> Sql {
    Sql { statements: statements.into(), ..Sql::default() }
}

/// A statement without parameters.
pub fn plain(text: &str) -> Statement {
    Statement { text: text.into(), ..Statement::default() }
}

/// The proof of a yes.
pub fn yes(prepared: Prepared) -> Proof {
    match prepared.vote {
        Vote::Yes(proof) => proof,
        vote => panic!("expected a yes, got {vote:?}"),
    }
}

/// The reason of a no.
pub fn no(prepared: Prepared) -> Refusal {
    match prepared.vote {
        Vote::No(refusal) => refusal,
        vote => panic!("expected a no, got {vote:?}"),
    }
}

/// Requires a no with this code and cause, after which nothing is prepared.
pub async fn refused(
    participant: &dyn Participant,
    bed: &dyn Bed,
    work: Work,
    code: &str,
    cause: Cause,
) {
    let branch = branch(bed);
    let refusal = no(participant.prepare(branch.clone(), work, AMPLE).await);
    assert_eq!((refusal.code.as_str(), refusal.cause), (code, cause), "{}", refusal.message);
    assert_eq!(own(participant).await, [], "something is prepared after a no");
}

/// The bed's branches that are prepared.
pub async fn own(participant: &dyn Participant) -> Vec<BranchId> {
    let list = participant.in_doubt().await.expect("the server is there");
    list.own.into_iter().map(|(branch, _)| branch).collect()
}

/// Repeats a command as long as its answer is unknown.
pub async fn until_known(mut command: impl AsyncFnMut() -> Ack) -> Ack {
    let start = Instant::now();
    loop {
        match command().await {
            Ack::Unknown(why) => assert!(start.elapsed() < AMPLE, "unknown for too long: {why}"),
            ack => return ack,
        }
    }
}

/// Makes a test of every case. The argument is an async function from the case's name to a bed, or
/// to `None` where there is no server to try it on.
#[macro_export]
macro_rules! conformance {
    ($make:path) => {
        $crate::conformance! { $make =>
            prepared_work_commits
            prepared_work_aborts
            a_restarted_node_finishes
            work_is_done_in_order_and_rows_are_returned
            read_only_work_drops_out
            held_work_commits_in_one_phase
            held_work_aborts
            a_held_branch_dies_with_its_session
            many_branches_share_few_connections
            finishing_is_never_behind_waiting_work
            two_prepares_of_one_branch_never_both_count
            abort_comes_before_prepare
            abort_stops_work_of_this_process
            abort_stops_work_of_a_dead_process
            a_dropped_prepare_leaves_nothing
            late_work_is_given_up_and_frees_its_locks
            killed_sessions_do_not_lose_prepared_work
            connections_cut_during_commit_are_unknown_then_finished
            an_operators_rollback_is_reported
            an_operators_commit_is_reported
            others_are_counted_and_left_alone
            an_unmet_row_count_is_refused
            a_constraint_is_refused
            nonsense_is_refused
            wrong_parameters_are_refused
            commands_that_end_the_transaction_are_refused
            keys_are_refused
            lock_waits_are_bounded
            statements_are_bounded
            a_deadlock_has_one_victim
        }
    };
    ($make:path => $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(bed) = $make(stringify!($case)).await {
                    $crate::conformance::$case(&bed).await;
                }
            }
        )*
    };
}
