//! Abort against everything, and what is known when things fail in between.

use std::{sync::Arc, time::Duration};

use handfast_core::{
    id::{BranchId, Cluster},
    vote::{Ack, Proof, Vote},
    work::Work,
};
use tokio::task::JoinHandle;

use super::{AMPLE, Bed, START, branch, own, until_known, work, yes};
use crate::{Participant, Prepared};

/// The same branch again, from a process that does not know of the first: one counts, once.
pub async fn two_prepares_of_one_branch_never_both_count(bed: &dyn Bed) {
    let (db, other) = (bed.participant(4), bed.participant(4));
    let id = branch(bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    for again in [&other, &db] {
        let again = again.prepare(id.clone(), work([bed.add(2, 1)]), AMPLE).await;
        assert!(!matches!(again.vote, Vote::Yes(_) | Vote::ReadOnly), "{again:?}");
    }
    assert_eq!(db.commit(id.clone(), proof).await, Ack::Finished);
    let late = db.prepare(id, work([bed.add(1, 1)]), AMPLE).await;
    assert!(!matches!(late.vote, Vote::Yes(_)), "a branch was prepared again: {late:?}");
    assert_eq!((bed.value(1).await, bed.value(2).await), (Some(START + 1), Some(START)));
    assert_eq!(own(&*db).await, []);
}

/// An abort that overtakes the prepare forbids it.
pub async fn abort_comes_before_prepare(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    assert_eq!(db.abort(id.clone(), Proof::default()).await, Ack::Finished);
    let late = db.prepare(id, work([bed.add(1, 1)]), AMPLE).await;
    assert!(!matches!(late.vote, Vote::Yes(_) | Vote::ReadOnly), "{late:?}");
    assert_eq!(own(&*db).await, []);
    assert_eq!(bed.value(1).await, Some(START));
}

/// A branch that waits for a lock which another one holds, prepared.
struct Blocked {
    holder: BranchId,
    proof: Proof,
    waiter: BranchId,
    waits: JoinHandle<Prepared>,
}

async fn block(bed: &dyn Bed, db: &Arc<dyn Participant>) -> Blocked {
    let (holder, waiter) = (branch(bed), branch(bed));
    let proof = yes(db.prepare(holder.clone(), work([bed.add(1, 1)]), AMPLE).await);
    let waits = spawn(db, &waiter, work([bed.add(1, 10)]));
    bed.blocked().await;
    Blocked { holder, proof, waiter, waits }
}

fn spawn(db: &Arc<dyn Participant>, id: &BranchId, work: Work) -> JoinHandle<Prepared> {
    let (db, id) = (db.clone(), id.clone());
    tokio::spawn(async move { db.prepare(id, work, AMPLE).await })
}

/// Abort interrupts work of the same process; nothing of it can arrive later.
pub async fn abort_stops_work_of_this_process(bed: &dyn Bed) {
    let db = bed.participant(4);
    let blocked = block(bed, &db).await;
    assert_eq!(db.abort(blocked.waiter, Proof::default()).await, Ack::Finished);
    let vote = blocked.waits.await.expect("no panic").vote;
    assert!(!matches!(vote, Vote::Yes(_) | Vote::ReadOnly), "{vote:?}");
    assert_eq!(db.commit(blocked.holder, blocked.proof).await, Ack::Finished);
    assert_eq!(own(&*db).await, []);
    assert_eq!(bed.value(1).await, Some(START + 1));
}

/// Abort interrupts work whose process is dead or cut off, although the server has not noticed.
pub async fn abort_stops_work_of_a_dead_process(bed: &dyn Bed) {
    let (dead, db) = (bed.participant(4), bed.participant(4));
    let blocked = block(bed, &dead).await;
    let ack = until_known(async || db.abort(blocked.waiter.clone(), Proof::default()).await).await;
    assert_eq!(ack, Ack::Finished);
    assert_eq!(db.commit(blocked.holder, blocked.proof).await, Ack::Finished);
    let vote = blocked.waits.await.expect("no panic").vote;
    assert!(!matches!(vote, Vote::Yes(_) | Vote::ReadOnly), "{vote:?}");
    assert_eq!(own(&*db).await, []);
    assert_eq!(bed.value(1).await, Some(START + 1));
}

/// Dropping the future closes the connection: nothing runs on, nothing open is reused.
pub async fn a_dropped_prepare_leaves_nothing(bed: &dyn Bed) {
    let db = bed.participant(3);
    let blocked = block(bed, &db).await;
    blocked.waits.abort();
    assert!(blocked.waits.await.is_err(), "it was to be dropped while it waited");
    let ack = until_known(async || db.abort(blocked.waiter.clone(), Proof::default()).await).await;
    assert_eq!(ack, Ack::Finished);
    assert_eq!(db.commit(blocked.holder, blocked.proof).await, Ack::Finished);
    let next = branch(bed);
    let proof = yes(db.prepare(next.clone(), work([bed.add(1, 100)]), AMPLE).await);
    assert_eq!(own(&*db).await, std::slice::from_ref(&next));
    assert_eq!(db.commit(next, proof).await, Ack::Finished);
    assert_eq!(bed.value(1).await, Some(START + 101));
}

/// Work that does not end in time is a no or lost, never a yes; its locks are free soon after.
pub async fn late_work_is_given_up_and_frees_its_locks(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    let slow = work([bed.add(1, 1), bed.sleep(60.0)]);
    let vote = db.prepare(id.clone(), slow, Duration::from_millis(300)).await.vote;
    match vote {
        Vote::No(_) => {}
        Vote::Lost(_) => {
            let ack = until_known(async || db.abort(id.clone(), Proof::default()).await).await;
            assert_eq!(ack, Ack::Finished);
        }
        vote => panic!("{vote:?}"),
    }
    let next = branch(bed);
    let proof = yes(db.prepare(next.clone(), work([bed.add(1, 2)]), AMPLE).await);
    assert_eq!(db.commit(next, proof).await, Ack::Finished);
    assert_eq!(bed.value(1).await, Some(START + 2));
}

/// Prepared work outlives its session, and the adapter finds new ones.
pub async fn killed_sessions_do_not_lose_prepared_work(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    bed.kill().await;
    let ack = until_known(async || db.commit(id.clone(), proof.clone()).await).await;
    assert_eq!(ack, Ack::Finished);
    assert_eq!(bed.value(1).await, Some(START + 1));
}

/// Sessions die all the time while branches are committed: an answer may be unknown, but never
/// wrong, and asking again ends in the truth.
pub async fn connections_cut_during_commit_are_unknown_then_finished(bed: &dyn Bed) {
    let db = bed.participant(4);
    let (mut done, mut asked) = (0, 0);
    while done < 20 {
        let id = branch(bed);
        let Vote::Yes(proof) = db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await.vote
        else {
            // A session that was killed may still be handed out; the branch is then undone.
            let undone = until_known(async || db.abort(id.clone(), Proof::default()).await).await;
            assert_eq!(undone, Ack::Finished);
            continue;
        };
        let commit = async {
            until_known(async || {
                asked += 1;
                db.commit(id.clone(), proof.clone()).await
            })
            .await
        };
        let (ack, ()) = futures_util::future::join(commit, bed.kill()).await;
        assert_eq!(ack, Ack::Finished, "after {asked} questions");
        done += 1;
    }
    assert_eq!(bed.value(1).await, Some(START + done));
    assert_eq!(own(&*db).await, []);
}

/// Someone rolls a prepared branch back; the commit proves it, as often as asked.
pub async fn an_operators_rollback_is_reported(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    bed.finish(id.clone(), false).await;
    for db in [db, bed.participant(4)] {
        let ack = until_known(async || db.commit(id.clone(), proof.clone()).await).await;
        assert!(matches!(ack, Ack::Heuristic(_)), "{ack:?}");
    }
}

/// Someone commits a prepared branch; commit is content, abort reports it.
pub async fn an_operators_commit_is_reported(bed: &dyn Bed) {
    let db = bed.participant(4);
    let id = branch(bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    bed.finish(id.clone(), true).await;
    let ack = until_known(async || db.commit(id.clone(), proof.clone()).await).await;
    assert_eq!(ack, Ack::Finished);
    let ack = until_known(async || db.abort(id.clone(), proof.clone()).await).await;
    assert!(matches!(ack, Ack::Heuristic(_)), "{ack:?}");
}

/// What others prepared is counted, also where it looks much like ours, and stays.
pub async fn others_are_counted_and_left_alone(bed: &dyn Bed) {
    let db = bed.participant(4);
    let cluster = bed.cluster();
    let other = Cluster::new(&format!("x{}", &cluster.as_str()[1..])).expect("a name");
    let others = [
        BranchId { cluster: other, ..branch(bed) }.to_string(),
        // Our name, but not as we write numbers.
        format!("hf1_{cluster}_01_1_0"),
        format!("hand-made-{cluster}"),
    ];
    let before = db.in_doubt().await.expect("the server is there").foreign;
    for name in &others {
        bed.prepare_foreign(name.clone()).await;
    }
    let list = db.in_doubt().await.expect("the server is there");
    assert_eq!(list.own, []);
    // Other cases on the same server come and go.
    assert!(list.foreign >= 3, "{} before, {} now", before, list.foreign);
    for name in others {
        bed.abort_foreign(name).await;
    }
}
