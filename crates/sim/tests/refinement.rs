//! The branches of the production machines do nothing that transaction commit does not allow.

use std::ops::ControlFlow;

use handfast_sim::{
    explore::{Options, Verdict},
    refinement,
    world::{Budget, Plan},
};

use crate::worlds::{NONE, paxos, shards, three_phase, votes, with, with_callers};

fn refines(plan: Plan) {
    let explored = refinement::run(plan, Options::default(), |_| ControlFlow::Continue(()));
    let explored = explored.unwrap();
    match explored.verdict {
        Verdict::Holds => {}
        Verdict::Violated(found) => {
            let trace: Vec<_> = found.actions.iter().map(ToString::to_string).collect();
            panic!("{}\n{}", found.violation, trace.join("\n"));
        }
        Verdict::NotFinished => panic!("not finished"),
    }
    // More than the few states of transaction commit itself.
    assert!(explored.progress.distinct > 500, "{:?}", explored.progress);
}

#[test]
fn two_phase_commit_over_databases_refines_transaction_commit() {
    let budget = Budget { crashes: 1, drops: 1, duplicates: 1, ..NONE };
    refines(with(with_callers(votes(), 1, 1), budget));
}

#[test]
fn two_phase_commit_over_shards_refines_transaction_commit() {
    refines(with(with_callers(shards(), 1, 1), Budget { crashes: 1, ..NONE }));
}

#[test]
fn three_phase_commit_with_bounded_delays_refines_transaction_commit() {
    refines(with(three_phase(2), Budget { crashes: 1, ballots: 6, ..NONE }));
}

#[test]
fn paxos_commit_refines_transaction_commit() {
    let plan = with(paxos(), Budget { crashes: 1, ..NONE });
    refines(Plan { dead_for_good: true, torn_max: Some(0), ..plan });
}
