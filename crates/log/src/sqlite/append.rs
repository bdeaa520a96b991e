//! The rows of an append. This is where the time goes: for a new stream three b-tree insertions,
//! for one that is known to be open one update by its id, for each record two insertions.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::{checksum, from_sql, to_sql};
use crate::log::{Batch, Change, Position};

/// The open streams: what an append would otherwise look up by name.
#[derive(Debug)]
pub(super) struct Known {
    open: HashMap<Arc<str>, Place>,
    next_id: i64,
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: i64,
    last_version: u64,
}

impl Known {
    pub fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let last_id = "SELECT ifnull(max(id), 0) FROM stream";
        let next_id = connection.query_row(last_id, [], |row| row.get::<_, i64>(0))? + 1;
        let sql = "SELECT name, id, last_version FROM stream WHERE open = 1";
        let mut statement = connection.prepare(sql)?;
        let open = statement.query_map([], |row| {
            Ok((row.get(0)?, Place { id: row.get(1)?, last_version: from_sql(row.get(2)?) }))
        })?;
        Ok(Self { open: open.collect::<rusqlite::Result<_>>()?, next_id })
    }

    /// A stream's name: that which is kept here, if it is, so that it is in memory once.
    pub fn name(&self, name: Arc<str>) -> Arc<str> {
        self.open.get_key_value(&name).map_or(name, |(kept, _)| Arc::clone(kept))
    }

    /// Writes the batch behind position `last` within a transaction of `connection`; returns the
    /// position of its last record. If it fails, or the transaction then does, what is known here
    /// is wrong.
    pub fn append(
        &mut self,
        connection: &Connection,
        batch: &Batch,
        mut last: Position,
        now_ms: u64,
    ) -> rusqlite::Result<Position> {
        let mut rows = Rows::prepare(connection, now_ms)?;
        for change in batch.changes() {
            let known = self.open.get(&change.stream).copied();
            let before = match known {
                Some(place) => Some(place),
                None if rows.insert_stream(self.next_id, change, last)? => None,
                None => rows.find_stream(&change.stream)?,
            };
            let place = match before {
                None => Place { id: self.next_id, last_version: 0 },
                Some(place) => place,
            };
            if before.is_none() {
                self.next_id += 1;
            } else {
                rows.update_stream(place, change, last)?;
            }
            for (version, body) in (place.last_version + 1..).zip(&change.records) {
                last += 1;
                rows.insert_record(last, place.id, version, body)?;
            }
            if change.snapshot {
                let mut cut = connection.prepare_cached(CUT_RECORDS)?;
                cut.execute(params![place.id, to_sql(last)])?;
            }
            if change.open {
                let last_version = place.last_version + change.records.len() as u64;
                self.open.insert(Arc::clone(&change.stream), Place { last_version, ..place });
            } else if known.is_some() {
                self.open.remove(&change.stream);
            }
        }
        Ok(last)
    }
}

const INSERT_STREAM: &str = "
    INSERT INTO stream (id, name, state, label, open,
        first_position, last_position, last_version, changed_at_ms, mark)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (name) DO NOTHING";

const UPDATE_STREAM: &str = "
    UPDATE stream SET state = ?2, label = ?3, open = ?4,
        first_position = ifnull(?5, first_position),
        last_position = ?6, last_version = ?7, changed_at_ms = ?8
    WHERE id = ?1";

const INSERT_RECORD: &str = "
    INSERT INTO record (position, stream, version, at_ms, format, body, crc)
    VALUES (?1, ?2, ?3, ?4, 2, ?5, ?6)";

const CUT_RECORDS: &str = "DELETE FROM record WHERE stream = ?1 AND position < ?2";

/// The statements of one append.
struct Rows<'c> {
    insert_stream: CachedStatement<'c>,
    find_stream: CachedStatement<'c>,
    update_stream: CachedStatement<'c>,
    insert_record: CachedStatement<'c>,
    now_ms: i64,
}

impl<'c> Rows<'c> {
    fn prepare(connection: &'c Connection, now_ms: u64) -> rusqlite::Result<Self> {
        let find_stream = "SELECT id, last_version FROM stream WHERE name = ?1";
        Ok(Self {
            insert_stream: connection.prepare_cached(INSERT_STREAM)?,
            find_stream: connection.prepare_cached(find_stream)?,
            update_stream: connection.prepare_cached(UPDATE_STREAM)?,
            insert_record: connection.prepare_cached(INSERT_RECORD)?,
            now_ms: to_sql(now_ms),
        })
    }

    /// Says whether the name was new; otherwise nothing was done.
    fn insert_stream(
        &mut self,
        id: i64,
        change: &Change,
        last: Position,
    ) -> rusqlite::Result<bool> {
        let count = change.records.len() as u64;
        let first = if change.snapshot { last + count } else { last + 1 };
        let inserted = self.insert_stream.execute(params![
            id,
            &*change.stream,
            change.summary.state,
            change.summary.label,
            change.open,
            to_sql(first),
            to_sql(last + count),
            to_sql(count),
            self.now_ms,
            change.summary.mark(),
        ])?;
        Ok(inserted == 1)
    }

    fn find_stream(&mut self, name: &str) -> rusqlite::Result<Option<Place>> {
        let place = self.find_stream.query_row([name], |row| {
            Ok(Place { id: row.get(0)?, last_version: from_sql(row.get(1)?) })
        });
        place.optional()
    }

    fn update_stream(
        &mut self,
        place: Place,
        change: &Change,
        last: Position,
    ) -> rusqlite::Result<()> {
        let count = change.records.len() as u64;
        let updated = self.update_stream.execute(params![
            place.id,
            change.summary.state,
            change.summary.label,
            change.open,
            change.snapshot.then_some(to_sql(last + count)),
            to_sql(last + count),
            to_sql(place.last_version + count),
            self.now_ms,
        ])?;
        if updated == 1 { Ok(()) } else { Err(rusqlite::Error::QueryReturnedNoRows) }
    }

    fn insert_record(
        &mut self,
        position: Position,
        stream: i64,
        version: u64,
        body: &str,
    ) -> rusqlite::Result<()> {
        let (position, version) = (to_sql(position), to_sql(version));
        let row = params![position, stream, version, self.now_ms, body, checksum(body)];
        self.insert_record.execute(row).map(drop)
    }
}
