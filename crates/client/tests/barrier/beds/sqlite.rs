//! SQLite: a file, with both drivers.

#![allow(unsafe_code, reason = "no driver has a busy handler that knows its session")]

use std::{
    ffi::{c_int, c_void},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use handfast_client::barrier::{Dialect, Ref, schema};
use rusqlite::{Connection, ffi::sqlite3_busy_handler};
use sqlx::{
    AssertSqlSafe, Connection as _, Row, Sqlite, SqliteConnection, raw_sql,
    sqlite::SqliteConnectOptions,
};

use super::{ACCOUNT, Bed};
use crate::barrier::session::{Local, Result, Session, serve};

pub fn rusqlite(_: &str) -> Option<Bed> {
    bed(|file| {
        Session::start(async move |mut commands, waits| {
            let mut connection = Connection::open(file)?;
            // SAFETY: the connection is open.
            unsafe { tell_that_it_waits(connection.handle(), waits) };
            let mut tx = connection.transaction()?;
            match serve(&mut tx, &mut commands).await {
                true => Ok(tx.commit()?),
                false => Ok(tx.rollback()?),
            }
        })
    })
}

pub fn sqlx_sqlite(_: &str) -> Option<Bed> {
    bed(|file| {
        Session::start(async move |mut commands, waits| {
            let options = SqliteConnectOptions::new().filename(file);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            let mut handle = connection.lock_handle().await?;
            // SAFETY: as above.
            unsafe { tell_that_it_waits(handle.as_raw_handle().as_ptr(), waits) };
            drop(handle);
            let mut tx = connection.begin().await?;
            match serve(&mut tx, &mut commands).await {
                true => Ok(tx.commit().await?),
                false => Ok(tx.rollback().await?),
            }
        })
    })
}

fn bed(start: fn(PathBuf) -> Session) -> Option<Bed> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("service.db");
    let connection = Connection::open(&file).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch(&format!("{}; {ACCOUNT}", schema(Dialect::Sqlite))).unwrap();
    Some(Bed {
        open: Box::new(move || start(file.clone())),
        whoami: None,
        blocked: "",
        kill: "",
        name: "main".into(),
        snapshots: false,
        deadlocks: false,
        _keep: Box::new(directory),
    })
}

/// Sets the flag whenever the connection waits for another one's lock, for a minute at most.
///
/// # Safety
/// The connection must be open.
unsafe fn tell_that_it_waits(connection: *mut rusqlite::ffi::sqlite3, waits: Arc<AtomicBool>) {
    unsafe extern "C" fn busy(waits: *mut c_void, times: c_int) -> c_int {
        // SAFETY: it points to an `Arc` that is never given back.
        let waits = unsafe { &*waits.cast::<AtomicBool>() };
        waits.store(true, Relaxed);
        std::thread::sleep(Duration::from_millis(1));
        (times < 60_000).into()
    }
    let waits = Arc::into_raw(waits).cast_mut().cast();
    // SAFETY: the connection is open, and the handler gets what it expects.
    assert_eq!(unsafe { sqlite3_busy_handler(connection, Some(busy), waits) }, 0);
}

impl Local for rusqlite::Transaction<'_> {
    async fn sql(on: Ref<'_, Self>, text: &str) -> Result<Option<i64>> {
        let mut number = None;
        for statement in text.split_terminator(';') {
            let mut statement = on.prepare(statement)?;
            let mut rows = statement.query([])?;
            number = rows.next()?.map(|row| row.get(0)).transpose()?;
        }
        Ok(number)
    }
}

impl Local for sqlx::Transaction<'_, Sqlite> {
    async fn sql(on: Ref<'_, Self>, text: &str) -> Result<Option<i64>> {
        let row = raw_sql(AssertSqlSafe(text.to_owned())).fetch_optional(on).await?;
        Ok(row.map(|row| row.try_get_unchecked::<Option<i64>, _>(0)).transpose()?.flatten())
    }
}
