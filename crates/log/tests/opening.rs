//! Who may open a log, which logs may be opened, and what is said otherwise.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::process::CommandExt, process::Command};

use handfast_core::id::Cluster;
use handfast_log::{Log, LogError, Reader, SqliteOptions, sqlite::schema};
use rusqlite::Connection;

use crate::{
    counter::{self, batch},
    scratch::{Scratch, busy_log},
};

const VERSION_1: &str = include_str!("fixtures/version-1.sql");

fn named(cluster: &str) -> SqliteOptions {
    SqliteOptions { cluster: Some(Cluster::new(cluster).unwrap()), ..SqliteOptions::default() }
}

#[test]
fn every_start_has_an_epoch_of_its_own() {
    let scratch = Scratch::new();
    for epoch in 1..=3 {
        let log = scratch.open().unwrap();
        assert_eq!(log.epoch(), epoch);
        assert_eq!(Scratch::image(&scratch.dir).open().unwrap().epoch(), epoch + 1, "killed");
    }
}

#[test]
fn a_cluster_is_named_once() {
    let scratch = Scratch::new();
    let name = scratch.open().unwrap().cluster().to_string();
    assert_eq!(name.len(), 8);
    assert_eq!(scratch.open().unwrap().cluster().as_str(), name);
    let error = scratch.open_with(named("other")).unwrap_err().to_string();
    assert!(error.contains(&name) && error.contains("other"), "{error}");
    assert_eq!(scratch.open().unwrap().epoch(), 3, "a refused start is none");

    let given = Scratch::new();
    assert_eq!(given.open_with(named("bank-1")).unwrap().cluster().as_str(), "bank-1");
    assert_eq!(given.open_with(named("bank-1")).unwrap().cluster().as_str(), "bank-1");
    let others = Scratch::new().open().unwrap().cluster().to_string();
    assert_ne!(others, name, "made by chance");
}

#[test]
fn a_second_owner_is_refused_and_told_the_first() {
    let scratch = Scratch::new();
    let log = scratch.open().unwrap();
    let error = scratch.open().unwrap_err();
    assert!(matches!(error, LogError::Owned { .. }));
    let text = error.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    assert!(text.contains(scratch.dir.to_str().unwrap()), "{text}");
    drop(log);
    scratch.open().unwrap();
}

#[test]
fn a_log_of_version_1_is_read() {
    let scratch = Scratch::new();
    fs::create_dir(&scratch.dir).unwrap();
    Connection::open(scratch.path("log.db")).unwrap().execute_batch(VERSION_1).unwrap();
    let log = scratch.open().unwrap();
    assert_eq!((log.cluster().as_str(), log.epoch()), ("fixture", 7 + 1 + 1_000));
    let (mut partition, _) = counter::open(log);
    assert_eq!(counter::sum(&mut partition, "a"), Some(3));
    assert_eq!(counter::sum(&mut partition, "b"), Some(40));
    let open: Vec<_> = partition.machines().map(|(name, ..)| name.to_string()).collect();
    assert_eq!(open, ["a"]);
    // What is added bears a checksum; what was there goes on without.
    counter::turn(&mut partition, [counter::to("a", counter::Input::Add(4))]).unwrap();
    assert_eq!(counter::sum(&mut partition, "a"), Some(7));
    drop(partition);
    let database = Connection::open(scratch.path("log.db")).unwrap();
    let with = "SELECT group_concat(crc IS NOT NULL, '') FROM record";
    assert_eq!(database.query_row(with, [], |row| row.get::<_, String>(0)).unwrap(), "00001");
    let (mut partition, _) = counter::open(scratch.open().unwrap());
    assert_eq!(counter::sum(&mut partition, "a"), Some(7));
}

#[test]
fn migrations_lead_forward_whole_or_not_at_all() {
    let scratch = Scratch::new();
    busy_log(&scratch).close().unwrap();
    let file = scratch.path("log.db");
    let next = "ALTER TABLE stream ADD COLUMN tenant TEXT NOT NULL DEFAULT 'all'";
    let mut database = Connection::open(&file).unwrap();

    let with = |next| [schema::MIGRATIONS, &[next]].concat();
    let today = u32::try_from(schema::MIGRATIONS.len()).unwrap();

    let broken = format!("{next}; UPDATE nothing SET x = 1");
    assert!(schema::migrate(&mut database, &file, &with(&broken)).is_err());
    assert_eq!(schema::version(&database, &file).unwrap(), today);
    assert!(database.prepare("SELECT tenant FROM stream").is_err());

    schema::migrate(&mut database, &file, &with(next)).unwrap();
    assert_eq!(schema::version(&database, &file).unwrap(), today + 1);
    let count =
        "SELECT count(*) FROM stream JOIN record ON stream.id = stream WHERE tenant = 'all'";
    assert_eq!(database.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 400);
    schema::migrate(&mut database, &file, &with(next)).unwrap();
}

#[test]
fn streams_of_older_logs_are_found_by_their_marks_too() {
    let scratch = Scratch::new();
    fs::create_dir(&scratch.dir).unwrap();
    let old = VERSION_1.replace("'sum-3 all'", "'!1-7 all'");
    Connection::open(scratch.path("log.db")).unwrap().execute_batch(&old).unwrap();
    let _log = scratch.open().unwrap();
    let reader = Reader::open(&scratch.dir).unwrap();
    assert_eq!(reader.marked("!1-7").unwrap().as_deref(), Some("a"));
    assert_eq!(reader.marked("sum-40").unwrap(), None);
}

#[test]
fn a_log_of_a_newer_program_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    busy_log(&scratch).close().unwrap();
    let database = Connection::open(scratch.path("log.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    database.close().unwrap();
    let before = scratch.content();
    for error in [scratch.open().unwrap_err(), Reader::open(&scratch.dir).unwrap_err()] {
        assert!(matches!(error, LogError::Newer { found: 99, known: 3, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("version 99") && text.contains("up to 3"), "{text}");
    }
    assert!(scratch.content() == before);
}

#[test]
fn files_that_are_no_log_are_refused_and_left_alone() {
    let other = Scratch::new();
    fs::create_dir(&other.dir).unwrap();
    let database = Connection::open(other.path("log.db")).unwrap();
    database.execute_batch("CREATE TABLE precious (x); INSERT INTO precious VALUES (1)").unwrap();
    database.close().unwrap();

    let text = Scratch::new();
    fs::create_dir(&text.dir).unwrap();
    fs::write(text.path("log.db"), "Dear diary, ".repeat(1_000)).unwrap();

    for scratch in [other, text] {
        let before = scratch.content();
        let error = scratch.open().unwrap_err();
        assert!(
            matches!(&error, LogError::Damaged { file, .. } if *file == scratch.path("log.db"))
        );
        assert!(scratch.content() == before);
    }
}

#[test]
fn a_path_that_cannot_be_a_data_directory_is_named() {
    let scratch = Scratch::new();
    fs::write(&scratch.dir, "a file").unwrap();
    let error = scratch.open().unwrap_err().to_string();
    assert!(error.contains(scratch.dir.to_str().unwrap()), "{error}");

    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("log.db")).unwrap();
    let error = scratch.open().unwrap_err();
    assert!(matches!(error, LogError::Io { .. }), "{error}");
    assert!(error.to_string().contains("log.db"), "{error}");
}

#[test]
fn a_full_disk_is_named_and_the_log_goes_on_after_a_restart_with_room() {
    let scratch = Scratch::new();
    let small = SqliteOptions { pages_max: Some(40), ..SqliteOptions::default() };
    let (mut partition, _) = counter::open(scratch.open_with(small).unwrap());
    let mut told = 0;
    let error = loop {
        assert!(told < 10_000, "it never runs full");
        match counter::turn(&mut partition, [counter::to("a", counter::Input::Add(1))]) {
            Ok(_) => told += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, LogError::Full { file } if *file == scratch.path("log.db")));
    assert!(error.to_string().contains("free disk space"), "{error}");
    drop(partition);
    let (mut partition, _) = counter::open(scratch.open().unwrap());
    assert_eq!(counter::sum(&mut partition, "a"), Some(told));
    counter::turn(&mut partition, [counter::to("a", counter::Input::Add(1))]).unwrap();
}

/// Permissions do not bind root, so the attempt is made by a child that is nobody.
#[test]
fn a_read_only_directory_or_file_is_named() {
    if let Some(dir) = std::env::var_os("HANDFAST_TEST_READ_ONLY") {
        let opened = handfast_log::Sqlite::open(dir.as_ref(), SqliteOptions::default());
        let refused = opened.and_then(|mut log| log.append(&batch("a", &["1"], true), 1));
        println!("{}", refused.unwrap_err());
        return;
    }
    let cases: [&[(&str, u32)]; 2] = [
        &[("owner", 0o444), ("log.db", 0o444), ("watermark", 0o444), ("", 0o555)],
        &[("owner", 0o666), ("log.db", 0o444), ("watermark", 0o666), ("", 0o777)],
    ];
    for modes in cases {
        let scratch = Scratch::new();
        let parent = scratch.dir.parent().unwrap();
        fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).unwrap();
        busy_log(&scratch).close().unwrap();
        for (file, mode) in modes {
            let path = if file.is_empty() { scratch.dir.clone() } else { scratch.path(file) };
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        // Beside the data, where nobody can read it.
        let program = parent.join("tests");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let mut child = Command::new(&program);
        child.args(["--exact", "opening::a_read_only_directory_or_file_is_named", "--nocapture"]);
        child.env("HANDFAST_TEST_READ_ONLY", &scratch.dir).current_dir("/");
        if rustix::process::geteuid().is_root() {
            child.uid(65534).gid(65534);
        }
        let said = String::from_utf8(child.output().unwrap().stdout).unwrap();
        assert!(said.contains("read-only") && said.contains("cannot be written"), "{said}");
        assert!(said.contains(scratch.dir.to_str().unwrap()), "{said}");
        fs::set_permissions(&scratch.dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
