//! The exhaustive walks: what holds in every schedule of a small world, and that the interesting
//! ones are among them.

use std::{ops::ControlFlow, time::Instant};

use handfast_sim::{
    check::{self, Report},
    explore::{Counterexample, Options, Verdict},
    marks::Mark,
    trace::{self, Trace},
    world::{Budget, Patience, Place, Plan, Searches},
};

use crate::{
    page,
    worlds::{
        NONE, applied, held, one_key, one_phase, over_three, paxos, paxos_apart, shards,
        there_and_back, three_phase, two, votes, with, with_callers,
    },
};

#[test]
fn all_votes_and_every_fault() {
    let budget = Budget { crashes: 1, drops: 1, duplicates: 1, delays: 1, ..NONE };
    let plan = Plan { searches: Searches::Always, ..with_callers(votes(), 1, 1) };
    let marks = [
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::CommittedReadOnly,
        Mark::InDoubtToCommit,
        Mark::InDoubtUnknown,
        Mark::OrphanFinished,
        Mark::Torn,
    ];
    walk("two-phase: all votes and every fault", with(plan, budget).folded()).reached(&marks);
}

#[test]
fn three_databases() {
    let budget = Budget { crashes: 1, drops: 1, ..NONE };
    let plan = with(with_callers(over_three(votes()), 1, 1), budget);
    walk("two-phase of three: all votes, a crash, a lost message", plan.folded()).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::CommittedReadOnly,
        Mark::InDoubtToCommit,
        Mark::OrphanFinished,
        Mark::Torn,
    ]);
    let budget = Budget { crashes: 2, drops: 1, delays: 1, ..NONE };
    let plan = with(over_three(two()), budget);
    walk("two-phase of three: two crashes, lost and late messages", plan.folded()).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::InDoubtToCommit,
        Mark::InDoubtUnknown,
        Mark::OrphanFinished,
    ]);
}

#[test]
fn a_caller_who_asks_twice_and_two_crashes() {
    let budget = Budget { crashes: 2, drops: 1, ..NONE };
    let plan = with(with_callers(two(), 2, 0), budget);
    walk("two-phase: a caller asks twice, two crashes", plan.folded()).reached(&[
        Mark::InDoubtToCommit,
        Mark::InDoubtUnknown,
        Mark::OrphanFinished,
        Mark::LaterRunCommitted,
    ]);
}

#[test]
fn a_caller_who_waits_until_it_is_applied() {
    let budget = Budget { duplicates: 1, delays: 1, ..NONE };
    walk(
        "two-phase: a caller waits until it is applied",
        with(with_callers(applied(), 2, 1), budget),
    )
    .reached(&[Mark::ToldCommitted, Mark::ToldAborted]);
}

#[test]
fn a_caller_who_holds() {
    let budget = Budget { crashes: 1, ..NONE };
    let marks = [Mark::Held, Mark::ToldCommitted, Mark::ToldAborted, Mark::InDoubtToCommit];
    walk("two-phase: a caller holds, a crash", with(with_callers(held(), 1, 1), budget))
        .reached(&marks);
    let budget = Budget { drops: 1, duplicates: 1, ..NONE };
    walk(
        "two-phase: a caller holds, messages are lost and doubled",
        with(with_callers(held(), 2, 1), budget),
    )
    .reached(&marks[..3]);
}

#[test]
fn commit_in_one_phase() {
    let budget = Budget { crashes: 2, drops: 1, duplicates: 1, delays: 1, ..NONE };
    walk("one phase: two crashes and every fault", with(with_callers(one_phase(), 3, 1), budget))
        .reached(&[
            Mark::ToldCommitted,
            Mark::ToldAborted,
            Mark::CommittedReadOnly,
            Mark::Delegated,
            Mark::DelegatedCommitted,
            Mark::DelegatedAborted,
            Mark::LaterRunCommitted,
        ]);
}

#[test]
fn someone_finishes_a_branch_by_hand() {
    let budget = Budget { crashes: 1, meddles: 1, drops: 1, ..NONE };
    let plans = [("", two()), (", the caller waits", applied())];
    for (which, plan) in plans {
        let name = format!("two-phase: a branch is finished by hand{which}");
        walk(&name, with(with_callers(plan, 1, 1), budget)).reached(&[
            Mark::Mixed,
            Mark::ToldMixed,
            Mark::MixedFinished,
        ]);
    }
}

#[test]
fn a_participant_that_only_an_operator_can_mend() {
    let budget = Budget { crashes: 1, breaks: 2, ..NONE };
    walk("two-phase: what only an operator can mend", with(two(), budget)).reached(&[
        Mark::Stuck,
        Mark::StuckFinished,
        Mark::InDoubtToCommit,
    ]);
}

#[test]
fn a_database_that_brings_back_what_was_rolled_back() {
    let budget = Budget { crashes: 1, duplicates: 1, delays: 1, revivals: 1, ..NONE };
    let plan = Plan { fences: false, ..with_callers(two(), 1, 1) };
    let plan = with(plan, budget).folded();
    walk("two-phase: a database brings back what was rolled back", plan)
        .reached(&[Mark::OrphanFinished, Mark::ToldAborted]);
}

#[test]
fn a_transfer_between_shards() {
    let budget = Budget { crashes: 2, drops: 1, duplicates: 1, ..NONE };
    walk("two-phase over shards: two crashes", with(with_callers(shards(), 1, 1), budget)).reached(
        &[
            Mark::ToldCommitted,
            Mark::ToldAborted,
            Mark::InDoubtToCommit,
            Mark::InquiryCommit,
            Mark::InquiryAbort,
            Mark::InquiryPending,
            Mark::OrphanFinished,
        ],
    );
}

#[test]
fn three_who_want_what_suffices_for_two() {
    let marks = [Mark::Waits, Mark::BothCommitted, Mark::ToldAborted];
    walk(
        "two-phase over a shard: three of which two can be",
        with(one_key(3), Budget { crashes: 1, ..NONE }),
    )
    .reached(&marks);
}

#[test]
fn two_transfers_there_and_back() {
    let marks = [Mark::Waits, Mark::BothCommitted, Mark::ToldAborted];
    walk(
        "two-phase over shards: there and back",
        with(there_and_back(), Budget { crashes: 1, ..NONE }),
    )
    .reached(&marks);
}

/// What a walk came by, if it found nothing.
pub struct Walked(Report);

impl Walked {
    pub fn reached(&self, marks: &[Mark]) {
        for mark in marks {
            assert!(self.0.marks.has(*mark), "never reached: {}", mark.name());
        }
    }
}

/// Walks all of it; what it counts is a row of the page.
pub fn walk(name: &str, plan: Plan) -> Walked {
    let begun = Instant::now();
    let options = Options { settles: true, states_max: 20_000_000 };
    let report = check::run(plan.clone(), options, |_| ControlFlow::Continue(()));
    let odd: Vec<_> = report.marks.iter().filter(|mark| !plan.may_reach(*mark)).collect();
    assert!(odd.is_empty(), "{name} came by what it cannot: {odd:?}");
    let progress = report.explored.progress;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{name}: {progress:?}, unfolded {}, {seconds:.1} s", report.unfolded);
    match &report.explored.verdict {
        Verdict::Holds => {
            let numbers = [progress.distinct, report.unfolded, progress.depth];
            let numbers = numbers.map(|number| number.to_string());
            page::row(
                "configurations",
                &[&[name.to_owned()], &numbers[..], &["holds".into()]].concat(),
            );
            Walked(report)
        }
        Verdict::NotFinished => panic!("not finished"),
        Verdict::Violated(counterexample) => {
            let lines = counterexample.actions.iter().map(|action| format!("> {action}\n"));
            panic!("{}\n{}", counterexample.violation, lines.collect::<String>());
        }
    }
}

/// Among the mortal is who leads first, an acceptor and a leader by takeover.
#[test]
fn paxos_commit_when_anybody_dies_for_good() {
    let plan = Plan { dead_for_good: true, ..with(paxos(), Budget { crashes: 1, ..NONE }) };
    walk("Paxos commit: anybody dies for good", Plan { torn_max: Some(0), ..plan }).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::TakenOver,
        Mark::Unblocked,
    ]);
}

/// The coordinator, which is an acceptor too, and a member, which leads in its place.
#[test]
fn paxos_commit_when_two_leaders_die_for_good() {
    let plan = with(paxos_apart(), Budget { crashes: 2, ..NONE });
    let mortals = vec![Place::Coordinator(0), Place::Shard(0)];
    let plan = Plan { dead_for_good: true, torn_max: Some(0), mortals, ..plan };
    walk("Paxos commit: two leaders die for good", plan).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::TakenOver,
        Mark::Unblocked,
    ]);
}

/// A member takes its coordinator for dead, at any time, while that lives, leads ballot 0, and
/// claims a ballot of its own when votes are late.
#[test]
fn paxos_commit_with_two_leaders_at_once() {
    let plan = with(paxos(), Budget { delays: 1, ..NONE });
    let plan = Plan { patience: Patience::Suspicion, dead_for_good: true, ..plan };
    walk("Paxos commit: two leaders at once", plan).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::TakenOver,
    ]);
}

/// The coordinator leads ballot 0 and claims another when votes are late; a member takes it for
/// dead, at any time, while it lives or when it is dead. Each of the two may die for good, at rest
/// or between any two writes; the acceptors beside the coordinator have no branch.
#[test]
fn paxos_commit_with_two_leaders_at_once_of_which_each_may_die() {
    let budget = Budget { crashes: 2, delays: 1, takeovers: Some(1), ..NONE };
    let mortals = vec![Place::Coordinator(0), Place::Shard(0)];
    let plan = Plan { torn_max: Some(0), mortals, ..with(paxos_apart(), budget) };
    let plan = Plan { patience: Patience::Suspicion, dead_for_good: true, ..plan };
    walk("Paxos commit: two leaders at once, each may die for good", plan).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::TakenOver,
        Mark::Unblocked,
        Mark::Torn,
    ]);
}

#[test]
fn paxos_commit_when_a_member_dies_and_is_restarted() {
    let plan = with(paxos(), Budget { crashes: 1, ..NONE });
    let plan = Plan { torn_max: Some(0), mortals: vec![Place::Shard(0)], ..plan };
    walk("Paxos commit: a member dies and is restarted", plan).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::InquiryCommit,
    ]);
}

#[test]
fn paxos_commit_when_a_member_refuses() {
    let plan = with(paxos(), Budget { crashes: 1, ..NONE });
    let plan = Plan { torn_max: Some(0), dead_for_good: true, loaded: 0, ..plan };
    walk("Paxos commit: a member refuses, anybody dies for good", plan)
        .reached(&[Mark::ToldAborted, Mark::TakenOver]);
}

/// What the others do not do: those who live wait for the dead.
#[test]
fn two_phase_commit_blocks_when_its_coordinator_stays_dead() {
    let plan = with(shards(), Budget { crashes: 1, ..NONE });
    let plan = Plan { dead_for_good: true, mortals: vec![Place::Coordinator(0)], ..plan };
    let options = Options { settles: true, ..Options::default() };
    let report = check::run(plan, options, |_| ControlFlow::Continue(()));
    let Verdict::Violated(found) = report.explored.verdict else { panic!("it must block") };
    assert!(found.violation.detail.contains("waits for the dead"), "{}", found.violation);
}

#[test]
fn three_phase_commit_with_a_crash_and_a_restart() {
    let budget = Budget { crashes: 1, ballots: 4, ..NONE };
    let plan = Plan { torn_max: Some(1), ..with(three_phase(2), budget) };
    walk("three-phase commit: a crash and a restart", plan).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::TakenOver,
    ]);
}

#[test]
fn three_phase_commit_when_all_but_one_die() {
    let budget = Budget { crashes: 2, ballots: 4, ..NONE };
    let plan = Plan { dead_for_good: true, ..with(three_phase(2), budget) };
    walk("three-phase commit: all but one die for good", plan).reached(&[
        Mark::ToldCommitted,
        Mark::TakenOver,
        Mark::Unblocked,
    ]);
}

#[test]
fn three_phase_commit_of_three() {
    let budget = Budget { crashes: 2, ballots: 3, ..NONE };
    let plan = Plan { dead_for_good: true, ..with(three_phase(3), budget) };
    walk("three-phase commit of three: two die for good", Plan { torn_max: Some(0), ..plan })
        .reached(&[Mark::ToldCommitted, Mark::TakenOver, Mark::Unblocked]);
}

#[test]
fn three_phase_commit_splits_when_the_network_parts() {
    let plan = with(three_phase(2), Budget { cuts: 1, ballots: 8, ..NONE });
    let report = check::run(plan.clone(), Options::default(), |_| ControlFlow::Continue(()));
    let Verdict::Violated(counterexample) = report.explored.verdict else {
        panic!("three-phase commit must split");
    };
    let Counterexample { violation, actions } = &counterexample;
    // All have voted yes: it is no matter of unanimity.
    assert_eq!(violation.invariant, "no two processes of a run end differently");
    let text = Trace { plan: &plan, violation, actions }.to_string();
    let (steps, again) = trace::replay(&text, None).unwrap();
    assert_eq!((steps, again.unwrap().to_string()), (actions.len(), violation.to_string()));
    let trace: Vec<_> = counterexample.actions.iter().map(ToString::to_string).collect();
    println!("{}\n{}", counterexample.violation, trace.join("\n"));
    assert!(trace.contains(&"s1 is cut off".to_owned()));
}
