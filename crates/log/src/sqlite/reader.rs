//! The read side: lists and timelines, over a connection of its own, never the partition's thread.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row, named_params};

use super::{BUSY_WAIT, FILE, entries, fault::fault, from_sql, schema, to_sql};
use crate::log::{Entry, LogError, Position};

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
    /// Only names that start with this.
    pub prefix: Option<String>,
    /// Only open ones.
    pub open_only: bool,
    /// Only those that last changed before this position: the last line of the page before.
    pub before: Option<Position>,
    /// At most so many lines.
    pub limit: usize,
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

    /// Streams, the last changed first.
    ///
    /// Open ones and prefixes are found by an index. Other filters walk back from the newest
    /// record until the page is full.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn list(&self, query: &ListQuery) -> Result<Vec<Line>, LogError> {
        let source = match query {
            ListQuery { open_only: true, .. } => {
                "stream WHERE open = 1 AND last_position < :before"
            }
            ListQuery { prefix: Some(_), .. } => "stream WHERE last_position < :before",
            // The last record of each stream, by the order of records: needs no index to sort by.
            _ => {
                "record JOIN stream ON stream.id = record.stream \
                     AND stream.last_position = record.position \
                 WHERE record.position < :before"
            }
        };
        let order = if source.starts_with("record") { "record.position" } else { "last_position" };
        let sql = format!(
            "SELECT name, state, label, open, changed_at_ms, last_position FROM {source}
             AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
             AND (:label IS NULL OR instr(' ' || label || ' ', ' ' || :label || ' ') > 0)
             AND (:prefix IS NULL OR name >= :prefix AND name < :beyond)
             ORDER BY {order} DESC LIMIT :limit"
        );
        // The first text after all that start with the prefix.
        let beyond = query.prefix.as_ref().map(|prefix| format!("{prefix}\u{10ffff}"));
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let rows = statement.query_map(
                named_params! {
                    ":before": to_sql(query.before.unwrap_or(u64::MAX)),
                    ":states": serde_json::Value::from(query.states.as_slice()).to_string(),
                    ":label": query.label,
                    ":prefix": query.prefix,
                    ":beyond": beyond,
                    ":limit": to_sql(query.limit as u64),
                },
                line,
            )?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(fault("read", &self.file))
    }

    /// A stream's records, from its last snapshot on; empty if there is none.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn stream(&self, name: &str) -> Result<Vec<Entry>, LogError> {
        entries(&self.connection, &self.file, name)
    }
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
