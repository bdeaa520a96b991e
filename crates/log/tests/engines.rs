//! Both engines pass the suite; and what only one of them has.

use std::cell::RefCell;

use handfast_log::{
    Batch, Log, Memory, Sqlite, SqliteOptions,
    conformance::{Engine, conformance},
};

use crate::{counter::batch, scratch::Scratch};

#[test]
fn memory_conforms() {
    conformance(Engine {
        fresh: &mut Memory::default,
        small: &mut || Memory::with_room(1 << 20),
        reopen: &mut |mut log: Memory| {
            log.crash(true);
            log
        },
    });
}

#[test]
fn sqlite_conforms_when_killed() {
    let kept = Kept::default();
    conformance(Engine {
        fresh: &mut || kept.open(Scratch::new(), SqliteOptions::default()),
        small: &mut || kept.open(Scratch::new(), small()),
        reopen: &mut |log: Sqlite| {
            let image = Scratch::image(log.dir());
            kept.open(image, SqliteOptions::default())
        },
    });
}

#[test]
fn sqlite_conforms_when_closed() {
    let kept = Kept::default();
    conformance(Engine {
        fresh: &mut || kept.open(Scratch::new(), SqliteOptions::default()),
        small: &mut || kept.open(Scratch::new(), small()),
        reopen: &mut |log: Sqlite| {
            let dir = log.dir().to_path_buf();
            log.close().unwrap();
            Sqlite::open(&dir, SqliteOptions::default()).unwrap()
        },
    });
}

#[test]
fn sqlite_removes_the_records_before_a_snapshot() {
    let kept = Kept::default();
    let mut log = kept.open(Scratch::new(), SqliteOptions::default());
    log.append(&batch("long", &["1"; 50], true), 1).unwrap();
    log.append(&batch("other", &["1"; 7], true), 1).unwrap();
    let mut change = batch("long", &["2", "3"], true).changes()[0].clone();
    change.snapshot = true;
    let mut snapshot = Batch::default();
    snapshot.push(change);
    log.append(&snapshot, 2).unwrap();
    let database = rusqlite::Connection::open(log.dir().join("log.db")).unwrap();
    let count = "SELECT count(*) FROM record";
    assert_eq!(database.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 7 + 1);
}

#[test]
fn memory_loses_exactly_the_append_that_was_not_synced() {
    let mut log = Memory::default();
    log.append(&batch("a", &["{}", "{}"], true), 1).unwrap();
    let synced = log.clone();
    log.append(&batch("a", &["{}"], false), 2).unwrap();
    log.append(&batch("b", &["{}"], true), 2).unwrap();

    let mut lost = log.clone();
    lost.crash(false);
    assert_eq!(lost.last_position(), 3);
    assert!(lost.read("b").unwrap().is_empty());
    assert_eq!(lost.read("a").unwrap().len(), 3, "the append before it was synced");

    let mut kept = log.clone();
    kept.crash(true);
    kept.crash(false);
    assert_eq!(kept.last_position(), 4, "what one crash has kept, the next cannot lose");

    let mut first = Memory::default();
    first.append(&batch("a", &["{}", "{}"], true), 1).unwrap();
    first.append(&batch("a", &["{}"], false), 2).unwrap();
    first.crash(false);
    assert_eq!(first.read("a").unwrap(), synced.clone().read("a").unwrap());
    assert_eq!(first.summary("a"), synced.summary("a"), "state and index go back too");
}

fn small() -> SqliteOptions {
    SqliteOptions { pages_max: Some(400), ..SqliteOptions::default() }
}

/// Directories that live as long as the test.
#[derive(Default)]
struct Kept(RefCell<Vec<Scratch>>);

impl Kept {
    fn open(&self, scratch: Scratch, options: SqliteOptions) -> Sqlite {
        let log = scratch.open_with(options).unwrap();
        self.0.borrow_mut().push(scratch);
        log
    }
}
