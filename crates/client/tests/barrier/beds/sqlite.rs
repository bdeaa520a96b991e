//! SQLite: a file.

use std::{
    cell::RefCell,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use handfast_client::barrier::{Dialect, Ref, schema};
use rusqlite::Connection;

use super::{ACCOUNT, Bed};
use crate::barrier::session::{Local, Result, Session, serve};

thread_local! {
    /// Of the session whose thread this is.
    static WAITS: RefCell<Arc<AtomicBool>> = RefCell::default();
}

pub fn rusqlite(_: &str) -> Option<Bed> {
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

fn start(file: PathBuf) -> Session {
    Session::start(async move |mut commands, waits| {
        WAITS.set(waits);
        let mut connection = Connection::open(file)?;
        connection.busy_handler(Some(busy))?;
        let mut tx = connection.transaction()?;
        match serve(&mut tx, &mut commands).await {
            true => Ok(tx.commit()?),
            false => Ok(tx.rollback()?),
        }
    })
}

fn busy(times: i32) -> bool {
    WAITS.with_borrow(|waits| waits.store(true, Relaxed));
    std::thread::sleep(Duration::from_millis(1));
    times < 60_000
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
