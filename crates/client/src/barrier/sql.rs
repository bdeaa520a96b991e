//! The statements that more than one driver uses.
//!
//! Parameters are numbered as they come: to SQLite, `$2` is a name like any other.

/// Marks the place to which the work is taken back.
pub const MARK: &str = "SAVEPOINT handfast_barrier";
/// Takes it back; the mark stays.
pub const TAKE_BACK: &str = "ROLLBACK TO SAVEPOINT handfast_barrier";

/// For PostgreSQL and SQLite.
///
/// The update of a row that is there is what locks it: an insert that does nothing would not, and
/// a select would not see what others commit while the insert waits for them.
pub const CLAIM: &str = "INSERT INTO handfast_barrier AS b (gid, branch, seen_ms) \
    VALUES ($1, $2, $3) ON CONFLICT (gid, branch) \
    DO UPDATE SET calls = b.calls + 1, seen_ms = excluded.seen_ms \
    RETURNING begun, begun_answer, ended, ended_answer";

/// For PostgreSQL and SQLite.
pub const WRITE: &str = "UPDATE handfast_barrier \
    SET begun = $1, begun_answer = $2, ended = $3, ended_answer = $4 \
    WHERE gid = $5 AND branch = $6 RETURNING calls";

/// For PostgreSQL: the oldest first. Skips what a call works on just now: it will be young.
pub const PRUNE_POSTGRES: &str = "DELETE FROM handfast_barrier WHERE (gid, branch) IN \
    (SELECT gid, branch FROM handfast_barrier WHERE seen_ms < $1 \
    ORDER BY seen_ms LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING calls";

/// For SQLite: the oldest first.
pub const PRUNE_SQLITE: &str = "DELETE FROM handfast_barrier WHERE rowid IN \
    (SELECT rowid FROM handfast_barrier WHERE seen_ms < $1 ORDER BY seen_ms LIMIT $2)";
