//! The words of XA, and the two things that prove what became of a branch.
//!
//! * **The name lock** (`GET_LOCK` under the branch's id). A session takes it before it starts the
//!   branch and holds it until it cannot do anything about the branch any more. So whoever gets
//!   the lock knows that no session of ours, of this or of an earlier run of the node, can still
//!   prepare, commit or roll it back; and `IS_USED_LOCK` names the very session to end.
//! * **The marker**: a row with the branch's id in a table of ours, written by the branch itself.
//!   It is there if and only if the branch was committed, and it is locked if and only if that is
//!   undecided. Kept for [`super::marker::KEPT_HOURS`]; the proof that a yes carries says when the
//!   branch began, so that a marker that is missing for its age proves nothing.
//!
//! What the server answers to `XA COMMIT` is no proof on MariaDB. While the session that prepared
//! lives, others are told that there is no such branch. And in the moment in which it goes, they
//! may be told that the branch was committed although it was not: the server forgets its name,
//! the engine keeps it and its locks, and after the next restart it is prepared again (seen on
//! 10.11.19, in one of a hundred tries). So nothing is sent before the name lock says that the
//! session has gone, and the marker is looked at afterwards.

use handfast_core::{id::BranchId, work::Isolation};
use mysql_async::{Error, Row, Value, prelude::FromValue};

use super::sessions::{Session, Stopped};

/// The format of our XA ids: `HF`.
pub(super) const FORMAT: u64 = 0x4846;

/// The server knows no such branch, or another session holds it.
pub(super) const NOTA: u16 = 1397;
/// The server knows the branch already.
pub(super) const DUPID: u16 = 1440;
/// There is no such session (any more).
const NO_SUCH_THREAD: u16 = 1094;

/// A branch in the list of the prepared.
pub(super) enum Listed {
    /// Has the form of ours; the cluster may be another's.
    Handfast(BranchId),
    /// Anything else.
    Foreign,
}

/// The XA id of a branch, as SQL. Its characters need no quoting.
pub(super) fn xid(branch: &BranchId) -> String {
    format!("'{branch}','',{FORMAT}")
}

/// Takes the name lock, waiting so many seconds for it; answers 1 if it has it.
pub(super) fn lock(branch: &BranchId, wait_s: u32) -> String {
    format!("SELECT GET_LOCK('{branch}',{wait_s})")
}

/// Gives up the name lock, and whatever locks a caller's statements took.
pub(super) const UNLOCK: &str = "DO RELEASE_ALL_LOCKS()";

/// Sets the level of the next transaction.
pub(super) fn isolation(level: Isolation) -> &'static str {
    match level {
        Isolation::ReadCommitted => "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        Isolation::RepeatableRead => "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        Isolation::Serializable => "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    }
}

/// Whether the first statement of a message got the name lock.
pub(super) fn got_lock(sets: &[Vec<Row>]) -> bool {
    cell::<i64>(sets, 0) == Some(1)
}

/// The first row's value in a column of the first result; `None` also for null.
pub(super) fn cell<T: FromValue>(sets: &[Vec<Row>], column: usize) -> Option<T> {
    sets.first()?.first()?.get_opt(column)?.ok()
}

/// Everything that is prepared on the server.
pub(super) async fn prepared(session: &mut Session) -> Result<Vec<Listed>, Stopped> {
    let sets = session.batch("XA RECOVER").await?;
    Ok(sets.into_iter().flatten().map(|row| listed(&row)).collect())
}

/// The number of the session that holds the name lock of a branch.
pub(super) async fn owner(
    session: &mut Session,
    branch: &BranchId,
) -> Result<Option<u64>, Stopped> {
    let sets = session.batch(&format!("SELECT IS_USED_LOCK('{branch}')")).await?;
    Ok(cell(&sets, 0))
}

/// Ends another session, if it is still there. Does not wait for it.
pub(super) async fn kill(session: &mut Session, other: u64) -> Result<(), Stopped> {
    match session.batch(&format!("KILL CONNECTION {other}")).await {
        Err(Stopped { error: Error::Server(said), .. }) if said.code == NO_SUCH_THREAD => Ok(()),
        killed => killed.map(drop),
    }
}

/// `formatID, gtrid_length, bqual_length, data`, where `data` is both parts without a separator.
fn listed(row: &Row) -> Listed {
    let number = |at: usize| row.get_opt::<u64, usize>(at)?.ok();
    let ours = || {
        let Some(Value::Bytes(data)) = row.as_ref(3) else { return None };
        if number(0)? != FORMAT || number(2)? != 0 || number(1)? != data.len() as u64 {
            return None;
        }
        BranchId::parse(std::str::from_utf8(data).ok()?)
    };
    ours().map_or(Listed::Foreign, Listed::Handfast)
}
