//! Files are damaged; a log must then be whole or refuse, and never be less in silence.

use std::{fs, path::Path};

use handfast_log::{
    Log, LogError, Sqlite,
    sqlite::{ACCEPTED_LOSS, ACCEPTED_LOSS_EPOCHS},
    watermark::Watermark,
};

use crate::{
    counter::batch,
    scratch::{Scratch, busy_log, read_all, write},
};

const PAGE: usize = 4096;

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_killed_log_comes_back_whole() {
    let scratch = Scratch::new();
    let mut log = busy_log(&scratch);
    let image = Scratch::image(&scratch.dir);
    assert!(fs::metadata(image.path("log.db-wal")).unwrap().len() > 100 * PAGE as u64);
    let mut after = image.open().unwrap();
    assert_eq!(after.last_position(), 400);
    assert_eq!(read_all(&mut after).unwrap(), read_all(&mut log).unwrap());
}

#[test]
fn a_log_that_lost_its_end_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    let _log = busy_log(&scratch);
    let wal = |change: fn(&mut Vec<u8>)| move |s: &Scratch| edit(&s.path("log.db-wal"), change);
    let remove = |file: &'static str| move |s: &Scratch| fs::remove_file(s.path(file)).unwrap();
    type Damage = Box<dyn Fn(&Scratch)>;
    let damages: [(&str, Damage); 9] = [
        (
            "a bit flipped in the middle",
            Box::new(wal(|b| {
                let at = b.len() / 2;
                b[at] ^= 4
            })),
        ),
        (
            "a bit flipped early",
            Box::new(wal(|b| {
                let at = b.len() / 9;
                b[at] ^= 64
            })),
        ),
        ("a bit flipped in its head", Box::new(wal(|b| b[17] ^= 1))),
        (
            "a page zeroed",
            Box::new(wal(|b| {
                let at = b.len() / 2;
                b[at..at + PAGE].fill(0)
            })),
        ),
        ("cut in the middle", Box::new(wal(|b| b.truncate(b.len() / 2)))),
        ("cut to nothing", Box::new(wal(Vec::clear))),
        ("removed", Box::new(remove("log.db-wal"))),
        (
            "the database cut to nothing",
            Box::new(|s| {
                edit(&s.path("log.db"), Vec::clear);
                fs::remove_file(s.path("log.db-wal")).unwrap();
            }),
        ),
        ("the database removed", Box::new(remove("log.db"))),
    ];
    for (what, damage) in damages {
        let image = Scratch::image(&scratch.dir);
        damage(&image);
        let before = image.content();
        for attempt in 1..=2 {
            let error = image.open().expect_err(what);
            let LogError::Lost { found, synced, .. } = &error else {
                panic!("{what}: {error}");
            };
            assert_eq!(*synced, 400, "{what}");
            assert!(*found < 400, "{what}");
            let text = error.to_string();
            assert!(text.contains("position 400") && text.contains("watermark"), "{text}");
            assert!(image.content() == before, "{what}: attempt {attempt} changed a file");
        }
    }
}

#[test]
fn one_wrong_byte_anywhere_in_the_write_ahead_file_loses_nothing_in_silence() {
    let scratch = Scratch::new();
    let mut log = busy_log(&scratch);
    let whole = read_all(&mut log).unwrap();
    let length = fs::metadata(scratch.path("log.db-wal")).unwrap().len() as usize;
    let mut refused = 0;
    for at in (0..length).step_by(length / 60) {
        let image = Scratch::image(&scratch.dir);
        edit(&image.path("log.db-wal"), |bytes| bytes[at] ^= 0x10);
        match image.open() {
            Ok(mut after) => assert_eq!(read_all(&mut after).unwrap(), whole, "byte {at}"),
            Err(LogError::Lost { .. } | LogError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn a_zeroed_page_of_the_database_is_an_error_or_harmless() {
    let scratch = Scratch::new();
    let mut log = busy_log(&scratch);
    let (whole, open) = (read_all(&mut log).unwrap(), log.open_streams().unwrap());
    log.close().unwrap();
    let pages = fs::metadata(scratch.path("log.db")).unwrap().len() as usize / PAGE;
    let mut noticed = 0;
    for page in 0..pages {
        let image = Scratch::image(&scratch.dir);
        edit(&image.path("log.db"), |bytes| bytes[page * PAGE..(page + 1) * PAGE].fill(0));
        let looked =
            image.open().and_then(|mut log| Ok((read_all(&mut log)?, log.open_streams()?)));
        match looked {
            Ok(looked) => assert!(looked == (whole.clone(), open.clone()), "page {page}"),
            Err(LogError::Damaged { file, .. }) => {
                assert_eq!(file, image.path("log.db"));
                noticed += 1;
            }
            Err(error) => panic!("page {page}: {error}"),
        }
    }
    assert!(noticed > pages / 2, "{noticed} of {pages}");
}

#[test]
fn a_missing_record_of_a_stream_is_an_error() {
    let scratch = Scratch::new();
    busy_log(&scratch).close().unwrap();
    let database = rusqlite::Connection::open(scratch.path("log.db")).unwrap();
    database.execute("DELETE FROM record WHERE position = 41", []).unwrap();
    database.close().unwrap();
    let mut log = scratch.open().unwrap();
    let error = log.read("stream-0").unwrap_err();
    assert!(error.to_string().contains("stream-0"), "{error}");
    assert_eq!(log.read("stream-1").unwrap().len(), 10);
}

/// A record that is other than it was written, and would still be read as one.
#[test]
fn a_changed_record_is_an_error() {
    let scratch = Scratch::new();
    busy_log(&scratch).close().unwrap();
    let database = rusqlite::Connection::open(scratch.path("log.db")).unwrap();
    let change = "UPDATE record SET body = replace(body, '40,', '48,') WHERE position = 41";
    assert_eq!(database.execute(change, []).unwrap(), 1);
    database.close().unwrap();
    let mut log = scratch.open().unwrap();
    for error in [
        log.read("stream-0").unwrap_err(),
        Sqlite::reader(&scratch.dir).unwrap().stream("stream-0").unwrap_err(),
    ] {
        assert!(matches!(error, LogError::DamagedStream { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("stream-0") && text.contains("position 41"), "{text}");
    }
    assert_eq!(log.read("stream-1").unwrap().len(), 10);
}

#[test]
fn a_damaged_watermark_is_refused() {
    let scratch = Scratch::new();
    busy_log(&scratch).close().unwrap();
    edit(&scratch.path("watermark"), |bytes| bytes[25] ^= 1);
    let error = scratch.open().unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    edit(&scratch.path("watermark"), Vec::clear);
    assert!(matches!(scratch.open(), Err(LogError::Damaged { .. })));
}

#[test]
fn a_loss_that_is_accepted_uses_no_position_and_no_epoch_again() {
    let scratch = Scratch::new();
    let log = busy_log(&scratch);
    let image = Scratch::image(&scratch.dir);
    fs::remove_file(image.path("log.db-wal")).unwrap();
    fs::remove_file(image.path("watermark")).unwrap();
    let mut after = image.open().unwrap();
    assert_eq!(after.last_position(), 100 + ACCEPTED_LOSS);
    assert!(after.epoch() > ACCEPTED_LOSS_EPOCHS && after.epoch() > log.epoch());
    assert_eq!(read_all(&mut after).unwrap().iter().map(Vec::len).sum::<usize>(), 100);
    write(&mut after, 400..401);
    drop(after);
    assert_eq!(image.open().unwrap().last_position(), 101 + ACCEPTED_LOSS, "once");
}

#[test]
fn the_watermark_is_what_was_synced_never_more() {
    let scratch = Scratch::new();
    let options = handfast_log::SqliteOptions { pages_max: Some(60), ..Default::default() };
    let mut log = scratch.open_with(options).unwrap();
    let body = format!("\"{}\"", "x".repeat(10_000));
    let mut acknowledged = 0;
    while log.append(&batch("a", &[&body], true), 1).is_ok() {
        acknowledged += 1;
        let mark = Watermark::read(&scratch.dir).unwrap().unwrap();
        assert_eq!((mark.position, mark.epoch), (acknowledged, 1));
    }
    let mark = Watermark::read(&scratch.dir).unwrap().unwrap();
    assert_eq!(mark.position, acknowledged, "a refused append does not raise it");
    assert_eq!(Scratch::image(&scratch.dir).open().unwrap().last_position(), acknowledged);
}
