//! The read side: lists and timelines, over a connection of its own, never the partition's thread.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, named_params, params};

use super::{BUSY_WAIT, FILE, entries, fault::fault, from_sql, schema, to_sql};
use crate::log::{Entry, LogError, Position};

/// Most records that one page looks at: so every page costs little, however long the log is.
pub const WALK_MAX: u64 = 20_000;

/// The newest records before a position.
fn walk() -> String {
    format!(
        "SELECT position, stream FROM record WHERE position < :before
         ORDER BY position DESC LIMIT {WALK_MAX}"
    )
}

/// Reads a log that another thread or process writes. Sees what is committed.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    file: PathBuf,
}

/// What a list shows of the streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only these states; all if empty.
    pub states: Vec<String>,
    /// Only with this word in the label.
    pub label: Option<String>,
    /// Only with a word in the label that starts so.
    pub starts: Option<String>,
    /// Only names that start with this.
    pub prefix: Option<String>,
    /// Only open ones.
    pub open_only: bool,
    /// Only those that last changed before this position: [`Page::next`] of the page before.
    pub before: Option<Position>,
    /// At most so many lines.
    pub limit: usize,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The streams; maybe fewer than asked for, maybe none, though others follow.
    pub lines: Vec<Line>,
    /// Where the next page begins, for [`ListQuery::before`]; none if this is the last.
    pub next: Option<Position>,
}

/// One stream in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its machine's state.
    pub state: String,
    /// Its machine's label.
    pub label: String,
    /// Whether work is left.
    pub open: bool,
    /// When it last changed, in milliseconds since 1970.
    pub changed_at_ms: u64,
    /// The position of its last record.
    pub last_position: Position,
}

impl Reader {
    /// Opens the log in `dir` for reading. It takes no lock: a node may be running there.
    ///
    /// # Errors
    /// There is no log, or not one that this program can read.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let file = dir.join(FILE);
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&file, flags)?;
            connection.busy_timeout(BUSY_WAIT)?;
            Ok(connection)
        };
        let connection = open().map_err(fault("open", &file))?;
        let (found, known) = (schema::version(&connection, &file)?, schema::MIGRATIONS.len());
        match usize::try_from(found) {
            Ok(found) if found == known => Ok(Self { connection, file }),
            Ok(found) if found < known => Err(LogError::Damaged {
                file,
                what: format!("it has format version {found}; a node must bring it forward first"),
            }),
            _ => Err(LogError::Newer { file, found, known: u32::try_from(known).unwrap_or(0) }),
        }
    }

    /// A page of streams, the last changed first.
    ///
    /// Open ones and rare prefixes are found by an index. Other filters walk back from the newest
    /// record until the page is full, or until they have seen [`WALK_MAX`] records.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn list(&self, query: &ListQuery) -> Result<Page, LogError> {
        self.page(query).map_err(fault("read", &self.file))
    }

    fn page(&self, query: &ListQuery) -> rusqlite::Result<Page> {
        // Everything below sees the log as of one moment.
        let _moment = self.connection.unchecked_transaction()?;
        let walks = !query.open_only && !self.is_rare(query)?;
        let lines = self.lines(query, walks)?;
        let next = match lines.last() {
            Some(last) if lines.len() >= query.limit => Some(last.last_position),
            _ if walks => self.walked_to(query)?,
            _ => None,
        };
        Ok(Page { lines, next })
    }

    /// Whether so few names start with the prefix that they can all be looked at.
    fn is_rare(&self, query: &ListQuery) -> rusqlite::Result<bool> {
        let Some(prefix) = &query.prefix else { return Ok(false) };
        let count = "SELECT count(*) FROM (
            SELECT 1 FROM stream WHERE name >= ?1 AND name < ?2 LIMIT ?3)";
        let mut count = self.connection.prepare_cached(count)?;
        let row = params![prefix, beyond(prefix), to_sql(WALK_MAX)];
        let found: i64 = count.query_row(row, |row| row.get(0))?;
        Ok(from_sql(found) < WALK_MAX)
    }

    fn lines(&self, query: &ListQuery, walks: bool) -> rusqlite::Result<Vec<Line>> {
        let source = match walks {
            // The last record of each stream, by the order of records: needs no index to sort by.
            true => {
                format!(
                    "({}) JOIN stream ON id = stream AND last_position = position WHERE",
                    walk()
                )
            }
            false if query.open_only => "stream WHERE open = 1 AND".into(),
            // Said without an `OR`, or the index of names is not used.
            false => "stream WHERE name >= :prefix AND name < :beyond AND".into(),
        };
        let sql = format!(
            "SELECT name, state, label, open, changed_at_ms, last_position FROM {source}
             last_position < :before
             AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
             AND (:label IS NULL OR instr(' ' || label || ' ', ' ' || :label || ' ') > 0)
             AND (:starts IS NULL OR instr(' ' || label, ' ' || :starts) > 0)
             AND (:prefix IS NULL OR name >= :prefix AND name < :beyond)
             ORDER BY {} DESC LIMIT :limit",
            if walks { "position" } else { "last_position" }
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(
            named_params! {
                ":before": to_sql(query.before.unwrap_or(u64::MAX)),
                ":states": serde_json::Value::from(query.states.as_slice()).to_string(),
                ":label": query.label,
                ":starts": query.starts,
                ":prefix": query.prefix,
                ":beyond": query.prefix.as_deref().map(beyond),
                ":limit": to_sql(query.limit as u64),
            },
            line,
        )?;
        rows.collect()
    }

    /// Where a walk that did not fill its page ended; none if it came to the log's first record.
    fn walked_to(&self, query: &ListQuery) -> rusqlite::Result<Option<Position>> {
        let sql = format!("SELECT min(position), count(*) FROM ({})", walk());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let before = to_sql(query.before.unwrap_or(u64::MAX));
        let (first, count): (Option<i64>, i64) = statement
            .query_row(named_params! { ":before": before }, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(first.map(from_sql).filter(|_| from_sql(count) >= WALK_MAX))
    }

    /// How many open streams have each word of the label that starts so; the words without that.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn count_open(&self, starts: &str) -> Result<BTreeMap<String, u64>, LogError> {
        self.counted(starts).map_err(fault("read", &self.file))
    }

    fn counted(&self, starts: &str) -> rusqlite::Result<BTreeMap<String, u64>> {
        let labels = "SELECT label FROM stream WHERE open = 1 AND instr(' ' || label, ' ' || ?1)";
        let mut labels = self.connection.prepare_cached(labels)?;
        let mut rows = labels.query([starts])?;
        let mut counts = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let label = row.get_ref(0)?.as_str()?;
            for word in label.split(' ').filter_map(|word| word.strip_prefix(starts)) {
                match counts.get_mut(word) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(word.to_owned(), 1)),
                }
            }
        }
        Ok(counts)
    }

    /// The name of the stream with this [mark](handfast_core::machine::Summary::mark).
    ///
    /// # Errors
    /// The log could not be read.
    pub fn marked(&self, mark: &str) -> Result<Option<String>, LogError> {
        let find = || {
            let sql = "SELECT name FROM stream WHERE mark = ?1";
            let mut found = self.connection.prepare_cached(sql)?;
            found.query_row([mark], |row| row.get(0)).optional()
        };
        find().map_err(fault("read", &self.file))
    }

    /// A stream's records, from its last snapshot on; empty if there is none.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn stream(&self, name: &str) -> Result<Vec<Entry>, LogError> {
        entries(&self.connection, &self.file, name)
    }
}

/// The first text after all that start with the prefix.
fn beyond(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        name: row.get(0)?,
        state: row.get(1)?,
        label: row.get(2)?,
        open: row.get(3)?,
        changed_at_ms: from_sql(row.get(4)?),
        last_position: from_sql(row.get(5)?),
    })
}
