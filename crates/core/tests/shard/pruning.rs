//! Finished branches are forgotten in the end; what follows from that.

use handfast_core::{
    id::{BranchId, RequestId},
    machine::Machine,
    shard::{Answer, Effect, End, FINISHED_MAX, Input, Live, Record, Saved, Shard},
    vote::{Ack, Vote},
    work::{KeyOp, Value},
};

use super::{branch, replay, step};

#[test]
fn a_forgotten_branch_is_never_prepared_again() {
    let mut saved = shard_that_has_forgotten();
    let late = prepare(&mut saved, branch(1));
    assert!(
        matches!(late, Answer::Voted { vote: Vote::No(why), .. } if why.code == "branch_reused")
    );
    assert_eq!(saved.keys["alice"], Value::Int(1), "the transfer was done twice");
    let newer = prepare(&mut saved, branch(FINISHED_MAX as u64 + 9));
    assert!(matches!(newer, Answer::Voted { vote: Vote::Yes(_), .. }));
}

#[test]
fn what_became_of_a_forgotten_branch_is_not_invented() {
    let mut saved = shard_that_has_forgotten();
    let request = RequestId(1);
    let answer = ask(&mut saved, Input::Commit { request, branch: branch(1) });
    assert_eq!(answer, Answer::Forgotten);
    let answer = ask(&mut saved, Input::Abort { request, branch: branch(1) });
    assert_eq!(answer, Answer::Acked(Ack::Finished), "it holds nothing and never will");
}

#[test]
fn another_cluster_is_not_below_the_floor() {
    let mut saved = shard_that_has_forgotten();
    let other = prepare(&mut saved, BranchId::parse("hf1_other_1_1_0").unwrap());
    assert!(matches!(other, Answer::Voted { vote: Vote::Yes(_), .. }));
}

#[test]
fn a_snapshot_rebuilds_everything() {
    let mut saved = shard_that_has_forgotten();
    prepare(&mut saved, branch(FINISHED_MAX as u64 + 9));
    let snapshot = Shard::snapshot(&saved).unwrap();
    let json = serde_json::to_string(&snapshot).unwrap();
    let snapshot: Record = serde_json::from_str(&json).unwrap();
    assert_eq!(replay(&[snapshot]), saved);
}

#[test]
fn a_doubled_abort_is_remembered_once() {
    let mut saved = Saved::default();
    for _ in 0..2 {
        ask(&mut saved, Input::Abort { request: RequestId(1), branch: branch(1) });
    }
    let Some(Record::Snapshot(snapshot)) = Shard::snapshot(&saved) else { panic!("no snapshot") };
    assert_eq!(snapshot.finished, [(branch(1), End::Aborted)]);
}

/// It committed branch 1, and then aborted so many that branch 1 was pruned.
fn shard_that_has_forgotten() -> Saved {
    let mut saved = Saved::default();
    prepare(&mut saved, branch(1));
    Shard::apply(&mut saved, &Record::Committed { branch: branch(1) });
    for number in 2..FINISHED_MAX as u64 + 2 {
        Shard::apply(&mut saved, &Record::Aborted { branch: branch(number) });
    }
    assert_eq!(saved.finished.len(), FINISHED_MAX);
    assert_eq!(saved.finished.end(&branch(1)), None, "it was not pruned");
    saved
}

fn prepare(saved: &mut Saved, branch: BranchId) -> Answer {
    let ops = vec![KeyOp::Add { key: "alice".into(), by: 1, min: None, max: None }];
    let request = RequestId(1);
    ask(saved, Input::Prepare { request, branch, ops, lock_wait_ms: 1_000, pact: None })
}

fn ask(saved: &mut Saved, input: Input) -> Answer {
    let (_, effects, _) = step(saved, &mut Live::default(), input);
    match effects.into_iter().next() {
        Some(Effect::Reply { answer, .. }) => answer,
        other => panic!("not an answer: {other:?}"),
    }
}
