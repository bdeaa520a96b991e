//! The tables, and how an older log becomes one of today.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::fault::fault;
use crate::log::LogError;

/// Marks a SQLite file as a log of Handfast: "Hfst".
pub const APPLICATION_ID: i32 = 0x4866_7374;

/// What leads from each format version to the next; the first makes the tables. A step that was
/// ever released is never changed: later versions add another.
pub const MIGRATIONS: &[&str] = &[
    "
    -- One row each: cluster, epoch (starts of the node), last_position (of what was pruned).
    CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

    -- One row for each machine: what lists show, and where its records are.
    CREATE TABLE stream (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        label TEXT NOT NULL,
        open INTEGER NOT NULL,
        -- Of the last snapshot, or of the first record.
        first_position INTEGER NOT NULL,
        last_position INTEGER NOT NULL,
        last_version INTEGER NOT NULL,
        changed_at_ms INTEGER NOT NULL
    );
    -- By id alone: a change of a stream that stays open does not touch it.
    CREATE INDEX stream_open ON stream (open) WHERE open = 1;

    -- The records, in the one order of the log.
    CREATE TABLE record (
        position INTEGER PRIMARY KEY,
        stream INTEGER NOT NULL,
        version INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        -- The format version that wrote it.
        format INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    -- And by position, which every index holds.
    CREATE INDEX record_stream ON record (stream);
",
    "
    -- CRC-32 of the body; none in records of the first version.
    ALTER TABLE record ADD COLUMN crc INTEGER;
",
    "
    -- The label's first word if it starts with `!`: it never changes, and finds the stream.
    ALTER TABLE stream ADD COLUMN mark TEXT;
    UPDATE stream SET mark = substr(label, 1, instr(label || ' ', ' ') - 1) WHERE label LIKE '!%';
    CREATE INDEX stream_mark ON stream (mark) WHERE mark IS NOT NULL;
",
];

/// Brings the database at `file` forward through `migrations`, all of them or none; returns
/// whether it was empty before.
///
/// # Errors
/// It is newer than the last of them, not a log of Handfast, or cannot be written; unchanged.
pub fn migrate(
    connection: &mut Connection,
    file: &Path,
    migrations: &[&str],
) -> Result<bool, LogError> {
    let known = u32::try_from(migrations.len()).expect("versions are few");
    let migrated = |error| fault("bring forward", file)(error);
    let found = version(connection, file)?;
    if found > known {
        return Err(LogError::Newer { file: file.into(), found, known });
    }
    if found < known {
        let step = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(migrated)?;
        for migration in &migrations[found as usize..] {
            step.execute_batch(migration).map_err(migrated)?;
        }
        step.pragma_update(None, "application_id", APPLICATION_ID).map_err(migrated)?;
        step.pragma_update(None, "user_version", known).map_err(migrated)?;
        step.commit().map_err(migrated)?;
    }
    Ok(found == 0)
}

/// The format version of the database; 0 if it is empty.
///
/// # Errors
/// It is not a log of Handfast, or not readable.
pub fn version(connection: &Connection, file: &Path) -> Result<u32, LogError> {
    let number = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fault("read", file))
    };
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let version = number("PRAGMA user_version")?;
    let ours = number("PRAGMA application_id")? == i64::from(APPLICATION_ID);
    match u32::try_from(version) {
        Ok(0) if tables == 0 && !ours => Ok(0),
        Ok(version) if version > 0 && ours => Ok(version),
        _ => Err(LogError::Damaged {
            file: file.into(),
            what: "it is a SQLite database, but not a log of Handfast".into(),
        }),
    }
}
