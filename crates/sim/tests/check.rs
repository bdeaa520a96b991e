//! The exhaustive walks: what holds in every schedule of a small world, and that the interesting
//! ones are among them.

use std::{ops::ControlFlow, time::Instant};

use handfast_sim::{
    check::{self, Report},
    explore::{Options, Verdict},
    marks::Mark,
    world::{Budget, Plan, Searches},
};

use crate::worlds::{
    NONE, applied, held, one_key, one_phase, paxos, shards, there_and_back, three_phase, two,
    votes, with, with_callers,
};

#[test]
fn all_votes_and_every_fault() {
    let budget = Budget { crashes: 1, drops: 1, duplicates: 1, delays: 1, ..NONE };
    let plan = Plan { searches: Searches::Always, ..with_callers(votes(), 1, 1) };
    walk(with(plan, budget)).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::CommittedReadOnly,
        Mark::InDoubtToCommit,
        Mark::InDoubtUnknown,
        Mark::OrphanFinished,
        Mark::Torn,
    ]);
}

#[test]
fn a_caller_who_asks_twice_and_two_crashes() {
    let budget = Budget { crashes: 2, drops: 1, ..NONE };
    walk(with(with_callers(two(), 2, 0), budget)).reached(&[
        Mark::InDoubtToCommit,
        Mark::InDoubtUnknown,
        Mark::OrphanFinished,
        Mark::LaterRunCommitted,
    ]);
}

#[test]
fn a_caller_who_waits_until_it_is_applied() {
    let budget = Budget { duplicates: 1, delays: 1, ..NONE };
    walk(with(with_callers(applied(), 2, 1), budget))
        .reached(&[Mark::ToldCommitted, Mark::ToldAborted]);
}

#[test]
fn a_caller_who_holds() {
    let budget = Budget { crashes: 1, ..NONE };
    let marks = [Mark::Held, Mark::ToldCommitted, Mark::ToldAborted, Mark::InDoubtToCommit];
    walk(with(with_callers(held(), 1, 1), budget)).reached(&marks);
    let budget = Budget { drops: 1, duplicates: 1, ..NONE };
    walk(with(with_callers(held(), 2, 1), budget)).reached(&marks[..3]);
}

#[test]
fn commit_in_one_phase() {
    let budget = Budget { crashes: 2, drops: 1, duplicates: 1, delays: 1, ..NONE };
    walk(with(with_callers(one_phase(), 3, 1), budget)).reached(&[
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
    for plan in [two(), applied()] {
        walk(with(with_callers(plan, 1, 1), budget)).reached(&[
            Mark::Mixed,
            Mark::ToldMixed,
            Mark::MixedFinished,
        ]);
    }
}

#[test]
fn a_participant_that_only_an_operator_can_mend() {
    let budget = Budget { crashes: 1, breaks: 2, ..NONE };
    walk(with(two(), budget)).reached(&[Mark::Stuck, Mark::StuckFinished, Mark::InDoubtToCommit]);
}

#[test]
fn a_database_that_brings_back_what_was_rolled_back() {
    let budget = Budget { crashes: 1, duplicates: 1, delays: 1, revivals: 1, ..NONE };
    let plan = Plan { fences: false, ..with_callers(two(), 1, 1) };
    walk(with(plan, budget)).reached(&[Mark::OrphanFinished, Mark::ToldAborted]);
}

#[test]
fn a_transfer_between_shards() {
    let budget = Budget { crashes: 2, drops: 1, duplicates: 1, ..NONE };
    walk(with(with_callers(shards(), 1, 1), budget)).reached(&[
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::InDoubtToCommit,
        Mark::InquiryCommit,
        Mark::InquiryAbort,
        Mark::InquiryPending,
        Mark::OrphanFinished,
    ]);
}

#[test]
fn three_who_want_what_suffices_for_two() {
    let marks = [Mark::Waits, Mark::BothCommitted, Mark::ToldAborted];
    walk(with(one_key(3), Budget { crashes: 1, ..NONE })).reached(&marks);
}

#[test]
fn two_transfers_there_and_back() {
    let marks = [Mark::Waits, Mark::BothCommitted, Mark::ToldAborted];
    walk(with(there_and_back(), Budget { crashes: 1, ..NONE })).reached(&marks);
}

/// What a walk came by, if it found nothing.
struct Walked(Report);

impl Walked {
    fn reached(&self, marks: &[Mark]) {
        for mark in marks {
            assert!(self.0.marks.has(*mark), "never reached: {}", mark.name());
        }
    }
}

fn walk(plan: Plan) -> Walked {
    explored(plan, true)
}

fn explored(plan: Plan, settles: bool) -> Walked {
    let begun = Instant::now();
    let options = Options { settles, states_max: 20_000_000 };
    let report = check::run(plan, options, |progress| {
        if std::env::var_os("HANDFAST_PROGRESS").is_some() && progress.distinct % 16 == 0 {
            println!("{progress:?}");
        }
        ControlFlow::Continue(())
    });
    let progress = report.explored.progress;
    println!(
        "{} states, {} steps, depth {}, {:.1} s",
        progress.distinct,
        progress.generated,
        progress.depth,
        begun.elapsed().as_secs_f64()
    );
    match &report.explored.verdict {
        Verdict::Holds => Walked(report),
        Verdict::NotFinished => panic!("not finished"),
        Verdict::Violated(counterexample) => {
            let lines = counterexample.actions.iter().map(|action| format!("> {action}\n"));
            panic!("{}\n{}", counterexample.violation, lines.collect::<String>());
        }
    }
}

#[test]
fn paxos_commit_with_a_crash() {
    let budget = Budget { crashes: 1, ballots: 0, ..NONE };
    let plan = Plan { calm_every: Some(64), dead_for_good: true, ..with(paxos(), budget) };
    let plan = Plan { torn_max: Some(0), ..plan };
    explored(plan, false).reached(&[Mark::ToldCommitted, Mark::TakenOver, Mark::Unblocked]);
}

#[test]
fn three_phase_commit_with_a_crash_and_a_restart() {
    let budget = Budget { crashes: 1, ballots: 4, ..NONE };
    let plan = Plan { calm_every: Some(64), torn_max: Some(1), ..with(three_phase(2), budget) };
    explored(plan, false).reached(&[Mark::ToldCommitted, Mark::ToldAborted, Mark::TakenOver]);
}

#[test]
fn three_phase_commit_when_all_but_one_die() {
    let budget = Budget { crashes: 2, ballots: 4, ..NONE };
    let plan = Plan { calm_every: Some(16), dead_for_good: true, ..with(three_phase(2), budget) };
    explored(plan, false).reached(&[Mark::ToldCommitted, Mark::TakenOver, Mark::Unblocked]);
}

#[test]
fn three_phase_commit_of_three() {
    let budget = Budget { crashes: 2, ballots: 3, ..NONE };
    let plan = Plan { dead_for_good: true, ..with(three_phase(3), budget) };
    let plan = Plan { torn_max: Some(0), calm_every: Some(16), ..plan };
    explored(plan, false).reached(&[Mark::ToldCommitted, Mark::TakenOver, Mark::Unblocked]);
}

#[test]
fn three_phase_commit_splits_when_the_network_parts() {
    let plan = with(three_phase(2), Budget { cuts: 1, ballots: 8, ..NONE });
    let report = check::run(plan, Options::default(), |_| ControlFlow::Continue(()));
    let Verdict::Violated(counterexample) = report.explored.verdict else {
        panic!("three-phase commit must split");
    };
    let trace: Vec<_> = counterexample.actions.iter().map(ToString::to_string).collect();
    println!("{}\n{}", counterexample.violation, trace.join("\n"));
    assert!(trace.contains(&"s1 is cut off".to_owned()));
}
