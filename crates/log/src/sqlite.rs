//! The embedded engine: SQLite with a write-ahead file, synced at each append.
//!
//! One connection writes, owned by the partition's thread; [`Reader`]s have their own. Files in
//! the data directory: `log.db` with `log.db-wal` and `log.db-shm` (SQLite's), `watermark`,
//! `owner`.
//!
//! An append is one SQLite transaction: for each stream one row of `stream`, for each record one of
//! `record`. It is durable when the write-ahead file is synced, once. Pages move to `log.db` later,
//! every [`CHECKPOINT_PAGES`].

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use handfast_core::id::Cluster;
use rusqlite::{Connection, Row, TransactionBehavior};

use crate::{
    log::{Batch, Entry, Log, LogError, Position},
    owner::Owner,
    watermark::{Mark, Watermark},
};

mod append;
mod fault;
mod opening;
mod reader;
pub mod schema;

use append::Known;
use fault::fault;
use opening::Opened;
pub use reader::{Line, ListQuery, Page, Reader, WALK_MAX};

/// The database's name within the data directory.
pub const FILE: &str = "log.db";
/// The write-ahead file is moved into the database when it has so many pages of 4 KiB. More means
/// fewer syncs of the database and a longer tail that hangs on one file.
pub const CHECKPOINT_PAGES: u32 = 4_000;
/// How far positions jump when the loss of the log's end was accepted: more than one write-ahead
/// file can hold, so that no lost position (a fencing token) is ever given again.
pub const ACCEPTED_LOSS: u64 = 1 << 24;
/// How far the count of starts jumps then; starts name the branches in the databases.
pub const ACCEPTED_LOSS_EPOCHS: u32 = 1_000;

/// Memory for pages, in KiB: what a turn writes, with room. The system keeps the rest of the log at
/// hand.
const CACHE_KIB: i64 = 8 * 1024;
/// How long to wait for an operator's tool that holds the database.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// The engine.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    watermark: Watermark,
    file: PathBuf,
    cluster: Cluster,
    mark: Mark,
    known: Known,
    // Last: the directory is given back when everything else is closed.
    _owner: Owner,
}

/// How to open a log.
#[derive(Clone, Debug, Default)]
pub struct SqliteOptions {
    /// The cluster it must belong to. If absent: what it says, or a random name if it is new.
    pub cluster: Option<Cluster>,
    /// Most pages of 4 KiB that the database may have; no bound if absent.
    pub pages_max: Option<u32>,
}

impl Sqlite {
    /// Opens the log in `dir`, or makes both.
    ///
    /// # Errors
    /// Each says what to do. [`LogError::Lost`] and [`LogError::Damaged`] leave every file as it
    /// was, so that copies can be taken.
    pub fn open(dir: &Path, options: SqliteOptions) -> Result<Self, LogError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| LogError::from_io(error, "create", dir.into()))?;
        let owner = Owner::take(dir)?;
        let Opened { connection, cluster, mark, known } = opening::open(dir, options)?;
        let watermark = Watermark::start(dir, mark)?;
        let file = dir.join(FILE);
        Ok(Self { connection, watermark, file, cluster, mark, known, _owner: owner })
    }

    /// How often this log was opened: durable, and different at each opening.
    pub fn epoch(&self) -> u32 {
        self.mark.epoch
    }

    /// The cluster that the log belongs to.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        self.file.parent().expect("the file is within the data directory")
    }

    /// The read side of the log in `dir`.
    ///
    /// # Errors
    /// As for [`Reader::open`].
    pub fn reader(dir: &Path) -> Result<Reader, LogError> {
        Reader::open(dir)
    }

    fn insert(&mut self, batch: &Batch, now_ms: u64) -> rusqlite::Result<Position> {
        let append = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last = self.known.append(&append, batch, self.mark.position, now_ms)?;
        append.commit()?;
        Ok(last)
    }

    fn remove(&mut self, cutoff_ms: u64, limit: usize) -> rusqlite::Result<usize> {
        let prune = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let old = oldest_closed(&prune, cutoff_ms, limit)?;
        for id in &old {
            prune.prepare_cached("DELETE FROM record WHERE stream = ?1")?.execute([id])?;
            prune.prepare_cached("DELETE FROM stream WHERE id = ?1")?.execute([id])?;
        }
        if !old.is_empty() {
            // The record with the highest position may be among those removed.
            opening::set_meta(&prune, "last_position", to_sql(self.mark.position))?;
        }
        prune.commit()?;
        Ok(old.len())
    }
}

impl Log for Sqlite {
    fn append(&mut self, batch: &Batch, now_ms: u64) -> Result<Position, LogError> {
        let inserted = self.insert(batch, now_ms);
        self.mark.position = inserted.map_err(fault("append to", &self.file))?;
        self.watermark.raise(self.mark, now_ms)?;
        Ok(self.mark.position)
    }

    fn read(&mut self, stream: &str) -> Result<Vec<Entry>, LogError> {
        entries(&self.connection, &self.file, stream)
    }

    fn open_streams(&mut self) -> Result<Vec<Arc<str>>, LogError> {
        let read = || {
            let sql = "SELECT name FROM stream WHERE open = 1 ORDER BY id";
            let mut statement = self.connection.prepare(sql)?;
            let names = statement.query_map([], |row| Ok(self.known.name(row.get(0)?)))?;
            names.collect::<rusqlite::Result<_>>()
        };
        read().map_err(fault("read", &self.file))
    }

    fn last_position(&self) -> Position {
        self.mark.position
    }

    fn prune(&mut self, cutoff_ms: u64, limit: usize) -> Result<usize, LogError> {
        self.remove(cutoff_ms, limit).map_err(fault("prune", &self.file))
    }

    fn close(self) -> Result<(), LogError> {
        self.watermark.sync()?;
        // The last connection that closes moves the write-ahead file into the database.
        let closed = self.connection.close().map_err(|(_, error)| error);
        closed.map_err(fault("close", &self.file))
    }
}

/// Walks the records from the oldest: the last record of a stream tells when it last changed.
fn oldest_closed(
    connection: &Connection,
    cutoff_ms: u64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT stream.id, stream.open, record.at_ms FROM record
         JOIN stream ON stream.id = record.stream AND stream.last_position = record.position
         ORDER BY record.position",
    )?;
    let mut rows = statement.query([])?;
    let mut old = Vec::new();
    while old.len() < limit
        && let Some(row) = rows.next()?
    {
        if from_sql(row.get(2)?) >= cutoff_ms {
            break;
        }
        if !row.get::<_, bool>(1)? {
            old.push(row.get(0)?);
        }
    }
    Ok(old)
}

/// Reads a stream from its last snapshot on, and makes sure that none of it is missing.
fn entries(connection: &Connection, file: &Path, stream: &str) -> Result<Vec<Entry>, LogError> {
    let read = || {
        // One statement, so that stream and records are of the same moment.
        let mut statement = connection.prepare_cached(
            "SELECT first_position, last_position, position, version, at_ms, body, crc
             FROM stream LEFT JOIN record
                 ON record.stream = stream.id AND position >= first_position
             WHERE name = ?1 ORDER BY position",
        )?;
        let rows = statement.query_map([stream], stored)?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(fault("read", file))?;
    let Some(&((first, last), _)) = rows.first() else {
        return Ok(Vec::new());
    };
    let damaged = |what: String| LogError::DamagedStream { file: file.into(), what };
    let mut there: Vec<Entry> = Vec::with_capacity(rows.len());
    for (entry, crc) in rows.into_iter().filter_map(|(_, entry)| entry) {
        if crc.is_some_and(|crc| crc != checksum(&entry.body)) {
            return Err(damaged(format!(
                "the record at position {}, version {} of stream `{stream}`, is not as it was \
                 written",
                entry.position, entry.version
            )));
        }
        there.push(entry);
    }
    let in_order = there.windows(2).all(|pair| pair[0].version + 1 == pair[1].version);
    let ends = (there.first().map(|e| e.position), there.last().map(|e| e.position));
    if in_order && ends == (Some(first), Some(last)) {
        return Ok(there);
    }
    Err(damaged(format!("of stream `{stream}` not all records from {first} to {last} are there")))
}

/// What is kept beside a record to tell whether it is as it was written.
fn checksum(body: &str) -> u32 {
    crc32fast::hash(body.as_bytes())
}

/// The positions of a stream's first and last record to read.
type Ends = (Position, Position);

/// A record, and its checksum if it has one.
type Stored = (Entry, Option<u32>);

/// The ends of a stream, and one of its records with its checksum; it is absent if there is none
/// at all, which only damage can do.
fn stored(row: &Row<'_>) -> rusqlite::Result<(Ends, Option<Stored>)> {
    let ends = (from_sql(row.get(0)?), from_sql(row.get(1)?));
    let entry = match row.get(2)? {
        None => None,
        Some(position) => {
            let (version, at_ms) = (from_sql(row.get(3)?), from_sql(row.get(4)?));
            let entry = Entry { position: from_sql(position), version, at_ms, body: row.get(5)? };
            Some((entry, row.get(6)?))
        }
    };
    Ok((ends, entry))
}

/// SQLite's integers have a sign. What is beyond them (a clock gone mad) becomes the largest.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Nothing below 0 was ever written; from a damaged file it becomes 0.
fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
