//! What work does, and what becomes of it.

use std::time::Instant;

use futures_util::future::{join, join_all};
use handfast_core::{
    vote::{Ack, Proof, Vote},
    work::{Param, Rows},
};

use super::{AMPLE, Bed, KEYS, START, branch, no, own, until_known, work, yes};

/// Prepared work shows only when it is committed, which may be said twice.
pub async fn prepared_work_commits(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    let prepared = db.prepare(id.clone(), work([bed.add(1, -30), bed.add(2, 30)]), AMPLE).await;
    let proof = yes(prepared);
    assert_eq!(bed.value(1).await, Some(START));
    let list = db.in_doubt().await.expect("the server is there");
    assert!(matches!(&list.own[..], [(branch, _)] if *branch == id), "{list:?}");
    for _ in 0..2 {
        assert_eq!(db.commit(id.clone(), proof.clone()).await, Ack::Finished);
        assert_eq!(bed.value(1).await, Some(START - 30));
        assert_eq!(bed.value(2).await, Some(START + 30));
        assert_eq!(own(&*db).await, []);
    }
}

/// Aborted work never shows, and leaves no locks; abort may be said twice.
pub async fn prepared_work_aborts(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 5)]), AMPLE).await);
    for _ in 0..2 {
        assert_eq!(db.abort(id.clone(), proof.clone()).await, Ack::Finished);
        assert_eq!(bed.value(1).await, Some(START));
        assert_eq!(own(&*db).await, []);
    }
    let next = branch(bed);
    let proof = yes(db.prepare(next.clone(), work([bed.add(1, 7)]), AMPLE).await);
    assert_eq!(db.commit(next, proof).await, Ack::Finished);
    assert_eq!(bed.value(1).await, Some(START + 7));
}

/// What one process prepared, the next finds, commits and aborts; with the proof or, for aborts,
/// without.
pub async fn a_restarted_node_finishes(bed: &dyn Bed) {
    let (kept, undone) = (branch(bed), branch(bed));
    let before = bed.participant(4);
    let proof = yes(before.prepare(kept.clone(), work([bed.add(1, 1)]), AMPLE).await);
    yes(before.prepare(undone.clone(), work([bed.add(2, 1)]), AMPLE).await);
    drop(before);
    let after = bed.participant(4);
    let mut found = own(&*after).await;
    found.sort();
    assert_eq!(found, [kept.clone(), undone.clone()]);
    assert_eq!(after.commit(kept, proof).await, Ack::Finished);
    assert_eq!(after.abort(undone, Proof::default()).await, Ack::Finished);
    assert_eq!((bed.value(1).await, bed.value(2).await), (Some(START + 1), Some(START)));
    assert_eq!(own(&*after).await, []);
}

/// A statement sees what earlier ones of its branch did, and rows come back in order.
pub async fn work_is_done_in_order_and_rows_are_returned(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    let mut statements = vec![bed.read(1)];
    // More than an adapter may want to have under way at once.
    statements.extend((0..40).map(|_| bed.add(1, 1)));
    statements.push(bed.read(1));
    let prepared = db.prepare(id.clone(), work(statements), AMPLE).await;
    let values = |rows: &[Rows]| rows.iter().map(|rows| rows.rows.clone()).collect::<Vec<_>>();
    let seen = [START, START + 40].map(|value| vec![vec![Param::Int(value)]]);
    assert_eq!(values(&prepared.rows), seen);
    assert_eq!(db.commit(id, yes(prepared)).await, Ack::Finished);
    assert_eq!(bed.value(1).await, Some(START + 40));
}

/// A branch that only reads votes read-only, returns its rows and leaves nothing.
pub async fn read_only_work_drops_out(bed: &dyn Bed) {
    let db = bed.participant(4);
    for held in [false, true] {
        let id = branch(bed);
        if held && !db.one_phase() {
            return;
        }
        let read = work([bed.read(1)]);
        let done = if held {
            db.hold(id.clone(), read, AMPLE).await
        } else {
            db.prepare(id.clone(), read, AMPLE).await
        };
        assert_eq!(done.vote, Vote::ReadOnly);
        assert_eq!(done.rows[0].rows, [[Param::Int(START)]]);
        assert_eq!(own(&*db).await, []);
    }
}

/// A held branch shows nothing, commits once, and every later question finds that out.
pub async fn held_work_commits_in_one_phase(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    if !db.one_phase() {
        no(db.hold(id, work([bed.add(1, 1)]), AMPLE).await);
        return;
    }
    let proof = yes(db.hold(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!(own(&*db).await, [], "a held branch is not prepared");
    assert_eq!(bed.value(1).await, Some(START));
    for _ in 0..2 {
        assert_eq!(db.commit_one_phase(id.clone(), proof.clone()).await, Ack::Finished);
        assert_eq!(bed.value(1).await, Some(START + 1));
    }
    let restarted = bed.participant(4);
    assert_eq!(restarted.commit_one_phase(id, proof).await, Ack::Finished);
    assert_eq!(bed.value(1).await, Some(START + 1));
}

/// A held branch can be aborted, here or by the next process, and frees its locks.
pub async fn held_work_aborts(bed: &dyn Bed) {
    let db = bed.participant(4);
    if !db.one_phase() {
        return;
    }
    for restarted in [false, true] {
        let id = branch(bed);
        let proof = yes(db.hold(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
        let aborter = if restarted { bed.participant(4) } else { db.clone() };
        assert_eq!(aborter.abort(id, proof).await, Ack::Finished);
        assert_eq!(bed.value(1).await, Some(START));
    }
    let id = branch(bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!(db.commit(id, proof).await, Ack::Finished);
}

/// A held branch whose session dies is rolled back, and is said to be.
pub async fn a_held_branch_dies_with_its_session(bed: &dyn Bed) {
    let db = bed.participant(4);
    if !db.one_phase() {
        return;
    }
    let id = branch(bed);
    let proof = yes(db.hold(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    bed.kill().await;
    for db in [db, bed.participant(4)] {
        let ack = until_known(async || db.commit_one_phase(id.clone(), proof.clone()).await).await;
        assert!(matches!(ack, Ack::Heuristic(_)), "{ack:?}");
    }
    assert_eq!(bed.value(1).await, Some(START));
}

/// More branches than connections: they take turns, and all get done.
pub async fn many_branches_share_few_connections(bed: &dyn Bed) {
    let db = &bed.participant(3);
    let run = |key| async move {
        let id = branch(bed);
        let proof = yes(db.prepare(id.clone(), work([bed.add(key, 1)]), AMPLE).await);
        until_known(async || db.commit(id.clone(), proof.clone()).await).await
    };
    let acks = join_all(KEYS.map(run)).await;
    assert!(acks.iter().all(|ack| *ack == Ack::Finished), "{acks:?}");
    for key in KEYS {
        assert_eq!(bed.value(key).await, Some(START + 1));
    }
}

/// Work that waits for a prepared branch cannot keep out the commit that it waits for.
pub async fn finishing_is_never_behind_waiting_work(bed: &dyn Bed) {
    let db = bed.participant(3);
    let first = branch(bed);
    let proof = yes(db.prepare(first.clone(), work([bed.add(1, 1)]), AMPLE).await);
    let add = async || {
        let id = branch(bed);
        let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
        until_known(async || db.commit(id.clone(), proof.clone()).await).await
    };
    let waiting = join_all((0..8).map(|_| add()));
    let commit = async {
        bed.blocked().await;
        let start = Instant::now();
        let ack = until_known(async || db.commit(first.clone(), proof.clone()).await).await;
        assert_eq!(ack, Ack::Finished);
        assert!(start.elapsed() < AMPLE / 2, "the commit waited for the work");
    };
    let (acks, ()) = join(waiting, commit).await;
    assert!(acks.iter().all(|ack| *ack == Ack::Finished), "{acks:?}");
    assert_eq!(bed.value(1).await, Some(START + 9));
}
