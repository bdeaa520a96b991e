//! Finished branches are forgotten in the end; what follows from that.

use handfast_core::{
    id::{BranchId, RequestId, RunId},
    machine::Machine,
    pact::paxos::Ballot,
    shard::{Answer, BUNDLES_MAX, Effect, End, FINISHED_MAX, Input, Live, Record, Saved, Shard},
    vote::{Ack, Vote},
    work::{KeyOp, Value},
};

use super::{branch, replay, step};
use crate::peers;

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
fn a_forgotten_run_is_not_accepted_anew() {
    let run = |number| RunId { epoch: 1, number };
    let pact = |number| peers::pact("paxos", run(number), 1);
    let claim = |number, ballot: &str| {
        let message = peers::message(pact(number), &["claim", ballot, "of", "acceptor", "2"]);
        Input::Received { message }
    };
    let mut saved = Saved::default();
    step(&mut saved, &mut Live::default(), claim(1, "b5"));
    for number in 2..FINISHED_MAX as u64 + 2 {
        Shard::apply(&mut saved, &Record::Promised { first: branch(number), ballot: Ballot(4) });
    }
    assert_eq!(saved.acceptors.len(), FINISHED_MAX);
    let (records, effects, _) = step(&mut saved, &mut Live::default(), claim(1, "b4"));
    assert!(records.is_empty(), "it promised b4 after b5");
    assert_eq!(sent(&effects), ["retired from b4 acceptor 2"]);
    let snapshot = Shard::snapshot(&saved).unwrap();
    let json = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(replay(&[serde_json::from_str(&json).unwrap()]), saved);
}

/// A coordinator that has lost its acceptors asks the members how a run ended.
#[test]
fn who_asks_is_told_that_a_run_is_forgotten() {
    let asked = |saved: &mut Saved, way: &str, number: u64| {
        let pact = peers::pact(way, branch(number).run, 1);
        let message = peers::message(pact, &["asked", "#0", "by", "p0"]);
        let (records, effects, _) = step(saved, &mut Live::default(), Input::Received { message });
        (records.len(), sent(&effects).join(", "))
    };
    let mut saved = shard_that_has_forgotten();
    for way in ["paxos", "three-phase"] {
        assert_eq!(asked(&mut saved, way, 1), (0, "forgotten p0 #0".into()));
        assert_eq!(asked(&mut saved, way, 2), (0, "told p0 #0 aborted".into()));
    }
    // What it never saw it never voted for, and never will.
    let unseen = FINISHED_MAX as u64 + 9;
    assert_eq!(asked(&mut saved, "paxos", unseen), (1, "told p0 #0 aborted".into()));
    assert_eq!(asked(&mut saved, "paxos", unseen), (0, "told p0 #0 aborted".into()));
    // One that is prepared finds the end by itself.
    prepare(&mut saved, branch(unseen + 1));
    assert_eq!(asked(&mut saved, "paxos", unseen + 1), (0, String::new()));
}

#[test]
fn votes_that_never_become_all_are_bounded() {
    let (mut saved, mut live) = (Saved::default(), Live::default());
    let mut vote = |number: u64, member: &str| {
        let pact = peers::pact("paxos", RunId { epoch: 1, number }, 1);
        let message = peers::message(pact, &["voted", member, "to", "acceptor", "2"]);
        let (records, ..) = step(&mut saved, &mut live, Input::Received { message });
        assert!(live.bundles.len() <= BUNDLES_MAX);
        records.len()
    };
    let last = BUNDLES_MAX as u64 + 1;
    for number in 1..=last {
        assert_eq!(vote(number, "#0"), 0);
    }
    assert_eq!(vote(1, "#1"), 0, "the oldest was not displaced");
    assert_eq!(vote(last, "#1"), 1, "the newest was displaced");
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

/// What is said to peers.
fn sent(effects: &[Effect]) -> Vec<String> {
    let message = |effect: &Effect| match effect {
        Effect::Send { message, .. } => Some(message.to_string()),
        _ => None,
    };
    effects.iter().filter_map(message).collect()
}

fn ask(saved: &mut Saved, input: Input) -> Answer {
    let (_, effects, _) = step(saved, &mut Live::default(), input);
    match effects.into_iter().next() {
        Some(Effect::Reply { answer, .. }) => answer,
        other => panic!("not an answer: {other:?}"),
    }
}
