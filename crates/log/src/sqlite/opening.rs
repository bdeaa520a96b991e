//! The opening of a log: nothing is written before it is known to be whole and ours.

use std::path::Path;

use handfast_core::id::Cluster;
use rusqlite::{Connection, OptionalExtension, config::DbConfig, types::FromSql};

use super::{
    ACCEPTED_LOSS, ACCEPTED_LOSS_EPOCHS, BUSY_WAIT, CACHE_KIB, CHECKPOINT_PAGES, FILE,
    SqliteOptions, append::Known, fault::fault, from_sql, schema, to_sql,
};
use crate::{
    log::LogError,
    watermark::{Mark, Watermark},
};

pub(super) struct Opened {
    pub connection: Connection,
    pub cluster: Cluster,
    pub mark: Mark,
    pub known: Known,
}

/// Opens the database in `dir`, which is ours, and counts the start.
pub(super) fn open(dir: &Path, options: SqliteOptions) -> Result<Opened, LogError> {
    let file = dir.join(FILE);
    let synced = Watermark::read(dir)?;
    if synced.is_some() && !file.exists() {
        check_whole(dir, Mark::default(), synced)?;
    }
    let mut connection = connect(&file).map_err(fault("open", &file))?;
    // Refusals before this is undone leave the write-ahead file as it is.
    keep_wal(&connection, true).map_err(fault("open", &file))?;

    let is_new = schema::version(&connection, &file)? == 0;
    let there = match is_new {
        true => Mark::default(),
        false => last_mark(&connection).map_err(fault("read", &file))?,
    };
    check_whole(dir, there, synced)?;
    if let (false, Some(given)) = (is_new, &options.cluster) {
        check_cluster(&connection, dir, given)?;
    }

    configure(&connection, options.pages_max).map_err(fault("open", &file))?;
    schema::migrate(&mut connection, &file, schema::MIGRATIONS)?;
    let mark = next_mark(there, synced);
    let cluster = begin(&mut connection, mark, options.cluster).map_err(fault("write", &file))?;
    let cluster = Cluster::new(&cluster).map_err(|bad| LogError::Damaged {
        file: file.clone(),
        what: format!("`{cluster}` cannot be a cluster's name: {bad}"),
    })?;
    let known = Known::read(&connection).map_err(fault("read", &file))?;
    keep_wal(&connection, false).map_err(fault("open", &file))?;
    Ok(Opened { connection, cluster, mark, known })
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    // Plans do not depend on bound values: otherwise a statement is parsed again whenever it is
    // bound anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn keep_wal(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

fn configure(connection: &Connection, pages_max: Option<u32>) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // A long reader lets the write-ahead file grow; afterwards it is cut back to this.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    if let Some(pages_max) = pages_max {
        connection.pragma_update(None, "max_page_count", pages_max)?;
    }
    Ok(())
}

fn last_mark(connection: &Connection) -> rusqlite::Result<Mark> {
    let last = connection
        .query_row("SELECT max(position) FROM record", [], |row| row.get::<_, Option<i64>>(0))?;
    let pruned = meta::<i64>(connection, "last_position")?;
    let epoch = meta::<i64>(connection, "epoch")?.unwrap_or(0);
    Ok(Mark {
        position: from_sql(last.max(pruned).unwrap_or(0)),
        epoch: u32::try_from(epoch).unwrap_or(u32::MAX),
    })
}

fn check_whole(dir: &Path, there: Mark, synced: Option<Mark>) -> Result<(), LogError> {
    match synced {
        Some(synced) if there.position < synced.position || there.epoch < synced.epoch => {
            Err(LogError::Lost {
                dir: dir.into(),
                found: there.position,
                synced: synced.position,
                found_epoch: there.epoch,
                synced_epoch: synced.epoch,
            })
        }
        _ => Ok(()),
    }
}

fn check_cluster(connection: &Connection, dir: &Path, given: &Cluster) -> Result<(), LogError> {
    let found = meta::<String>(connection, "cluster").map_err(fault("read", &dir.join(FILE)))?;
    match found {
        Some(found) if found != given.as_str() => {
            Err(LogError::OtherCluster { dir: dir.into(), found, given: given.to_string() })
        }
        // None: it died right after the tables were made.
        _ => Ok(()),
    }
}

/// Without a watermark, records may have been lost and the loss accepted by removing it: then
/// nothing that may have been used is used again.
fn next_mark(there: Mark, synced: Option<Mark>) -> Mark {
    let accepted = synced.is_none() && there.position > 0;
    let (positions, epochs) = if accepted { (ACCEPTED_LOSS, ACCEPTED_LOSS_EPOCHS) } else { (0, 0) };
    Mark { position: there.position + positions, epoch: there.epoch.saturating_add(1 + epochs) }
}

/// Writes the start into the log; returns the cluster's name.
fn begin(
    connection: &mut Connection,
    mark: Mark,
    cluster: Option<Cluster>,
) -> rusqlite::Result<String> {
    let begin = connection.transaction()?;
    let name = match meta(&begin, "cluster")? {
        Some(name) => name,
        None => {
            let name = match cluster {
                Some(cluster) => cluster.to_string(),
                None => random_name(&begin)?,
            };
            set_meta(&begin, "cluster", &name)?;
            name
        }
    };
    set_meta(&begin, "epoch", mark.epoch)?;
    set_meta(&begin, "last_position", to_sql(mark.position))?;
    begin.commit()?;
    // A sync that failed before a crash may have left the write-ahead file in the system's memory
    // only. What was read above is on disk after this, or the start fails.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(name)
}

fn random_name(connection: &Connection) -> rusqlite::Result<String> {
    let bytes: Vec<u8> = connection.query_row("SELECT randomblob(8)", [], |row| row.get(0))?;
    let digit =
        |byte: u8| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::from(byte % 36)]);
    Ok(bytes.into_iter().map(digit).collect())
}

fn meta<T: FromSql>(connection: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    connection.query_row(sql, [key], |row| row.get(0)).optional()
}

/// Sets a row of `meta`.
pub(super) fn set_meta(
    connection: &Connection,
    key: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    connection.execute(sql, rusqlite::params![key, value]).map(drop)
}
