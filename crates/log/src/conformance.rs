//! What every engine must do, as checks that panic with what is wrong.

use std::sync::Arc;

use handfast_core::machine::Summary;

use crate::log::{Batch, Change, Entry, Log, LogError};

/// How the suite gets at an engine.
pub struct Engine<'a, L> {
    /// Makes a new, empty log.
    pub fresh: &'a mut dyn FnMut() -> L,
    /// Makes a new, empty log that has room for less than 16 MiB, to run full.
    pub small: &'a mut dyn FnMut() -> L,
    /// The process dies and the log is opened again.
    pub reopen: &'a mut dyn FnMut(L) -> L,
}

/// Runs every check.
///
/// # Panics
/// If the engine fails one.
pub fn conformance<L: Log>(mut engine: Engine<'_, L>) {
    let checks = [
        a_new_log_is_empty,
        positions_are_consecutive_also_across_openings,
        a_batch_lands_in_its_order,
        bodies_and_names_come_back_as_they_were,
        the_index_of_open_streams_follows_the_last_change,
        a_stream_is_read_from_its_last_snapshot,
        pruning_takes_the_oldest_closed_and_never_an_open_stream,
        pruning_frees_no_position,
        a_big_batch_lands_whole,
        a_full_log_keeps_every_batch_whole_or_not_at_all,
    ];
    for check in checks {
        check(&mut engine);
    }
}

fn a_new_log_is_empty<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    assert_eq!(log.last_position(), 0);
    assert_eq!(open(&mut log), Vec::<String>::new());
    assert_eq!(read(&mut log, "nobody"), []);
    assert_eq!(log.append(&Batch::default(), 7).expect("append"), 0, "an empty batch is nothing");
    assert_eq!(log.prune(u64::MAX, 10).expect("prune"), 0);
}

fn positions_are_consecutive_also_across_openings<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    for turn in 0..5 {
        let before = turn * 3;
        assert_eq!(append(&mut log, [closed("a", 1), closed("b", 2)]), before + 3);
        assert_eq!(log.last_position(), before + 3);
        log = (engine.reopen)(log);
        assert_eq!(log.last_position(), before + 3, "after opening again");
    }
    let positions = |entries: Vec<Entry>| entries.iter().map(|e| e.position).collect::<Vec<_>>();
    assert_eq!(positions(read(&mut log, "a")), [1, 4, 7, 10, 13]);
    assert_eq!(positions(read(&mut log, "b")), [2, 3, 5, 6, 8, 9, 11, 12, 14, 15]);
}

fn a_batch_lands_in_its_order<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    append_at(&mut log, [closed("z", 2), closed("a", 1)], 1_000);
    append_at(&mut log, [closed("a", 2)], 2_000);
    let log = &mut (engine.reopen)(log);
    let places = |entries: Vec<Entry>| {
        entries.iter().map(|e| (e.position, e.version, e.at_ms)).collect::<Vec<_>>()
    };
    assert_eq!(places(read(log, "z")), [(1, 1, 1_000), (2, 2, 1_000)]);
    assert_eq!(places(read(log, "a")), [(3, 1, 1_000), (4, 2, 2_000), (5, 3, 2_000)]);
}

fn bodies_and_names_come_back_as_they_were<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    let long = format!("{{\"long\":\"{}\"}}", "x".repeat(1 << 20));
    let bodies = ["{}", r#"{"quote":"'\"\\ \u0000 %_"}"#, r#"{"é":"雪 🦀"}"#, long.as_str()];
    let names = ["plain", "it's \"quoted\"", "雪", "a_b%c", "Plain"];
    for name in names {
        let records = bodies.iter().map(|body| body.replace("{}", name)).collect();
        append(&mut log, [Change { records, ..closed(name, 1) }]);
    }
    let log = &mut (engine.reopen)(log);
    for name in names {
        let there: Vec<String> = read(log, name).into_iter().map(|entry| entry.body).collect();
        assert_eq!(there[0], name);
        assert_eq!(there[1..], bodies[1..]);
    }
}

fn the_index_of_open_streams_follows_the_last_change<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    append(&mut log, [opened("a", 1), opened("b", 1), closed("c", 1), opened("d", 1)]);
    append(&mut log, [closed("b", 1), opened("c", 1)]);
    append(&mut log, [opened("a", 1), closed("d", 2)]);
    let before = open(&mut log);
    assert_eq!(sorted(before.clone()), ["a", "c"]);
    let mut log = (engine.reopen)(log);
    assert_eq!(open(&mut log), before, "the same order after opening again");
    append(&mut log, [closed("a", 1), closed("c", 1)]);
    assert_eq!(open(&mut log), Vec::<String>::new());
}

fn a_stream_is_read_from_its_last_snapshot<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    append(&mut log, [opened("long", 3), closed("other", 1)]);
    append(&mut log, [Change { snapshot: true, ..opened("long", 2) }]);
    assert_eq!(versions(&mut log, "long"), [5], "the snapshot is the last of its change");
    append(&mut log, [opened("long", 2)]);
    let mut log = (engine.reopen)(log);
    assert_eq!(versions(&mut log, "long"), [5, 6, 7]);
    assert_eq!(versions(&mut log, "other"), [1], "other streams are as they were");
    append(&mut log, [Change { snapshot: true, ..closed("long", 1) }]);
    let mut log = (engine.reopen)(log);
    assert_eq!(versions(&mut log, "long"), [8]);
    append(&mut log, [Change { snapshot: true, ..closed("short", 1) }]);
    assert_eq!(versions(&mut log, "short"), [1], "a first record may be a snapshot");
}

fn pruning_takes_the_oldest_closed_and_never_an_open_stream<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    append_at(&mut log, [opened("working", 1), opened("late", 1), closed("first", 2)], 1_000);
    append_at(&mut log, [closed("second", 1), closed("third", 1)], 2_000);
    append_at(&mut log, [closed("late", 1)], 3_000);
    append_at(&mut log, [closed("new", 1)], 4_000);
    assert_eq!(log.prune(1_000, 10).expect("prune"), 0, "the cutoff itself is not before it");
    assert_eq!(log.prune(3_000, 2).expect("prune"), 2, "at most the limit");
    assert_eq!(versions(&mut log, "first"), [0; 0]);
    assert_eq!(versions(&mut log, "second"), [0; 0]);
    assert_eq!(versions(&mut log, "third"), [1]);
    let mut log = (engine.reopen)(log);
    assert_eq!(log.prune(4_000, 10).expect("prune"), 2, "late counts from its last change");
    let mut log = (engine.reopen)(log);
    assert_eq!(versions(&mut log, "late"), [0; 0]);
    assert_eq!(versions(&mut log, "new"), [1]);
    assert_eq!(log.prune(u64::MAX, 10).expect("prune"), 1);
    assert_eq!(versions(&mut log, "working"), [1], "old, but open");
    assert_eq!(open(&mut log), ["working"]);
}

fn pruning_frees_no_position<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    append(&mut log, [closed("a", 3), closed("b", 2)]);
    assert_eq!(log.prune(u64::MAX, 10).expect("prune"), 2, "everything");
    assert_eq!(log.last_position(), 5);
    let mut log = (engine.reopen)(log);
    assert_eq!(log.last_position(), 5);
    assert_eq!(append(&mut log, [closed("a", 1)]), 6);
    let again = read(&mut log, "a");
    assert_eq!((again[0].position, again[0].version), (6, 1), "a name used again starts anew");
}

fn a_big_batch_lands_whole<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.fresh)();
    let name = |i: usize| format!("stream-{:05}", (i * 7919) % 5_000);
    append(&mut log, (0..5_000).map(|i| opened(&name(i), 1 + i % 3)));
    let mut log = (engine.reopen)(log);
    assert_eq!(open(&mut log).len(), 5_000);
    for i in 0..5_000 {
        assert_eq!(read(&mut log, &name(i)).len(), 1 + i % 3);
    }
}

fn a_full_log_keeps_every_batch_whole_or_not_at_all<L: Log>(engine: &mut Engine<'_, L>) {
    let mut log = (engine.small)();
    let body = format!("{{\"filling\":\"{}\"}}", "x".repeat(4_000));
    let mut acknowledged = 0;
    let refused = loop {
        assert!(acknowledged < 10_000, "it never runs full");
        let change = |name: &str| Change { records: vec![body.clone(); 8], ..opened(name, 1) };
        let mut batch = Batch::default();
        batch.push(change("a"));
        batch.push(change(&format!("b{acknowledged}")));
        match log.append(&batch, 1) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::Full { .. }), "it says what is wrong: {refused}");
    assert!(acknowledged > 0, "some batches fit");
    let mut log = (engine.reopen)(log);
    assert_eq!(log.last_position(), acknowledged * 16);
    assert_eq!(read(&mut log, "a").len() as u64, acknowledged * 8);
    assert_eq!(open(&mut log).len() as u64, 1 + acknowledged);
    assert_eq!(read(&mut log, &format!("b{acknowledged}")), [], "the refused batch");
}

fn opened(stream: &str, records: usize) -> Change {
    let records = (0..records).map(|i| format!("{{\"record\":{i}}}")).collect();
    let summary = Summary { state: "working", label: "one two".into() };
    Change { stream: Arc::from(stream), records, snapshot: false, open: true, summary }
}

fn closed(stream: &str, records: usize) -> Change {
    Change { open: false, ..opened(stream, records) }
}

fn append<L: Log>(log: &mut L, changes: impl IntoIterator<Item = Change>) -> u64 {
    append_at(log, changes, 1_000)
}

fn append_at<L: Log>(log: &mut L, changes: impl IntoIterator<Item = Change>, now_ms: u64) -> u64 {
    let mut batch = Batch::default();
    changes.into_iter().for_each(|change| batch.push(change));
    log.append(&batch, now_ms).expect("append")
}

fn read<L: Log>(log: &mut L, stream: &str) -> Vec<Entry> {
    log.read(stream).expect("read")
}

fn versions<L: Log>(log: &mut L, stream: &str) -> Vec<u64> {
    read(log, stream).iter().map(|entry| entry.version).collect()
}

fn open<L: Log>(log: &mut L) -> Vec<String> {
    log.open_streams().expect("open streams").iter().map(ToString::to_string).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
