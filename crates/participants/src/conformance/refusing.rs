//! What is refused, with which code and cause, and that nothing stays behind.

use std::time::Duration;

use futures_util::future::join;
use handfast_core::{
    vote::{
        Ack,
        Cause::{Business, Passing, Request},
        Vote,
    },
    work::{KeyOp, Param, Sql, Statement, Work},
};

use super::{AMPLE, Bed, START, branch, own, plain, refused, sql, work, yes};

/// A row count that is not met undoes the whole branch.
pub async fn an_unmet_row_count_is_refused(bed: &dyn Bed) {
    let db = bed.participant(4);
    let missing = Statement { rows: Some(1), ..bed.add(-1, 1) };
    let all = [bed.add(1, 1), missing.clone(), bed.add(2, 1)];
    refused(&*db, bed, work(all), "rows_mismatch", Business).await;
    assert_eq!((bed.value(1).await, bed.value(2).await), (Some(START), Some(START)));
    let met =
        [Statement { rows: Some(1), ..bed.add(1, 1) }, Statement { rows: Some(0), ..missing }];
    let id = branch(bed);
    let proof = yes(db.prepare(id.clone(), work(met), AMPLE).await);
    assert_eq!(db.abort(id, proof).await, Ack::Finished);
}

/// A constraint that says no is the data's doing.
pub async fn a_constraint_is_refused(bed: &dyn Bed) {
    let db = bed.participant(4);
    let low = work([bed.add(1, 1), bed.add(2, -START - 1)]);
    refused(&*db, bed, low, "constraint", Business).await;
    refused(&*db, bed, work([bed.insert(1, 1)]), "constraint", Business).await;
    assert_eq!(bed.value(1).await, Some(START));
}

/// What is no SQL, or names what is not there, is the request's fault, alone and among others.
pub async fn nonsense_is_refused(bed: &dyn Bed) {
    let db = bed.participant(4);
    for text in ["SELEC 1", "SELECT * FROM hf_no_such_table", "SELECT 1; SELECT 2", "'"] {
        refused(&*db, bed, work([plain(text)]), "sql_syntax", Request).await;
        let among = work([bed.add(1, 1), plain(text), bed.add(1, 1)]);
        refused(&*db, bed, among, "sql_syntax", Request).await;
    }
    assert_eq!(bed.value(1).await, Some(START));
}

/// Too few, too many.
pub async fn wrong_parameters_are_refused(bed: &dyn Bed) {
    let db = bed.participant(4);
    let right = bed.add(1, 1);
    let mut few = right.clone();
    few.params.pop();
    let mut many = right;
    many.params.push(Param::Int(1));
    for wrong in [few, many] {
        refused(&*db, bed, work([bed.add(1, 1), wrong]), "sql_parameter", Request).await;
    }
    assert_eq!(bed.value(1).await, Some(START));
}

/// Nothing may end the branch's transaction from within, in no disguise.
pub async fn commands_that_end_the_transaction_are_refused(bed: &dyn Bed) {
    let db = bed.participant(4);
    for text in ["COMMIT", "rollback", "BEGIN", "/* a */ COMMIT AND CHAIN", "START TRANSACTION"] {
        let sly = work([bed.add(1, 1), plain(text), bed.add(1, 1)]);
        refused(&*db, bed, sly, "sql_not_allowed", Request).await;
    }
    assert_eq!(bed.value(1).await, Some(START));
}

/// Keys are for shards.
pub async fn keys_are_refused(bed: &dyn Bed) {
    let db = bed.participant(4);
    let keys = Work::Keys(vec![KeyOp::Get { key: "a".into() }]);
    refused(&*db, bed, keys, "wrong_work", Request).await;
}

/// A wait for a lock ends when the branch says so.
pub async fn lock_waits_are_bounded(bed: &dyn Bed) {
    let db = bed.participant(4);
    let holder = branch(bed);
    let proof = yes(db.prepare(holder.clone(), work([bed.add(1, 1)]), AMPLE).await);
    let wait = Sql { lock_timeout_ms: Some(1_000), ..sql([bed.add(2, 1), bed.add(1, 1)]) };
    let id = branch(bed);
    let vote = db.prepare(id, Work::Sql(wait), AMPLE).await.vote;
    assert!(
        matches!(&vote, Vote::No(no) if no.code == "lock_timeout" && no.cause == Passing),
        "{vote:?}"
    );
    assert_eq!(own(&*db).await, std::slice::from_ref(&holder));
    assert_eq!(db.commit(holder, proof).await, Ack::Finished);
    assert_eq!((bed.value(1).await, bed.value(2).await), (Some(START + 1), Some(START)));
}

/// A statement ends when the branch says so.
pub async fn statements_are_bounded(bed: &dyn Bed) {
    let db = bed.participant(4);
    let slow = Sql { statement_timeout_ms: Some(200), ..sql([bed.add(1, 1), bed.sleep(60.0)]) };
    refused(&*db, bed, Work::Sql(slow), "statement_timeout", Passing).await;
    assert_eq!(bed.value(1).await, Some(START));
}

/// Of two branches that wait for each other one is refused, and the other prepared.
pub async fn a_deadlock_has_one_victim(bed: &dyn Bed) {
    let db = bed.participant(4);
    // The pause makes sure that each has its first lock before it asks for the second.
    let cross = |from, to| work([bed.add(from, 1), bed.sleep(0.5), bed.add(to, 1)]);
    let (one, two) = (branch(bed), branch(bed));
    let (first, second) = join(
        db.prepare(one.clone(), cross(1, 2), Duration::from_secs(20)),
        db.prepare(two.clone(), cross(2, 1), Duration::from_secs(20)),
    )
    .await;
    let (winner, proof, loser) = match (first.vote, second.vote) {
        (Vote::Yes(proof), Vote::No(no)) => (one, proof, no),
        (Vote::No(no), Vote::Yes(proof)) => (two, proof, no),
        other => panic!("{other:?}"),
    };
    assert_eq!((loser.code.as_str(), loser.cause), ("deadlock", Passing), "{}", loser.message);
    assert_eq!(db.commit(winner, proof).await, Ack::Finished);
    assert_eq!((bed.value(1).await, bed.value(2).await), (Some(START + 1), Some(START + 1)));
}
