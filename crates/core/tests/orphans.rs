//! What is an orphan, and what only looks like one.

use std::collections::BTreeMap;

use handfast_core::{id::RunId, orphans::Listed};

fn run(epoch: u32, number: u64) -> RunId {
    RunId { epoch, number }
}

#[test]
fn only_what_every_look_leaves_is_an_orphan() {
    let dead = [("a", run(1, 1)), ("b", run(1, 2)), ("c", run(1, 3)), ("d", run(2, 4))];
    let alive = [("e", run(2, 5)), ("f", run(3, 1))];
    let suspects = Listed::new(dead.into_iter().chain(alive)).suspects(2, |r| r == run(2, 5));
    assert_eq!(suspects.later(), 1, "f is of a start that is not known here");
    assert_eq!(suspects.runs(), dead.map(|(_, run)| run).into());
    // b was committed; c is recorded, and nobody can tell how it ended.
    let recorded = BTreeMap::from([(run(1, 2), Some(true)), (run(1, 3), None)]);
    let judged = suspects.judge(&recorded);
    let still = ["a", "b", "c", "e", "f"].into();
    assert_eq!(judged.orphans(&still), [("a", None), ("b", Some(true))]);
}
