//! The branches of the production machines do nothing that transaction commit does not allow.

use std::ops::ControlFlow;

use handfast_core::{pact::Way, transaction::AckWhen};
use handfast_sim::{
    explore::{Options, Verdict},
    refinement,
    world::{BranchWish, Budget, Cast, Place, Plan, Wish},
};

/// One transaction of two branches.
fn plan(place: fn(u8) -> Place, decide: Option<Way>) -> Plan {
    let acceptors = match decide {
        Some(Way::Paxos) => vec![Place::Shard(0), Place::Shard(1)],
        Some(Way::ThreePhase) | None => Vec::new(),
    };
    let adds = |by| match place(0) {
        Place::Shard(_) => vec![("k".into(), by)],
        Place::Database(_) | Place::Coordinator(_) => Vec::new(),
    };
    let branches = [-10, 10].into_iter().zip(0..);
    let branches = branches.map(|(by, number)| BranchWish { at: place(number), adds: adds(by) });
    let mut plan = Plan::new(vec![Wish {
        coordinator: 0,
        branches: branches.collect(),
        ack: AckWhen::Decided,
        hold: false,
        one_phase: false,
        decide,
        acceptors,
        begins: 1,
        aborts: 1,
    }]);
    plan.casts = vec![Cast::Yes, Cast::No, Cast::ReadOnly];
    plan.torn_max = Some(2);
    plan
}

fn refines(plan: Plan) {
    let options = Options { settles: true, ..Options::default() };
    let explored = refinement::run(plan, options, |_| ControlFlow::Continue(())).unwrap();
    match explored.verdict {
        Verdict::Holds => {}
        Verdict::Violated(found) => {
            let trace: Vec<_> = found.actions.iter().map(ToString::to_string).collect();
            panic!("{}\n{}", found.violation, trace.join("\n"));
        }
        Verdict::NotFinished => panic!("not finished"),
    }
    // More than the few states of transaction commit itself.
    assert!(explored.progress.distinct > 100);
}

#[test]
fn two_phase_commit_over_databases_refines_transaction_commit() {
    let mut plan = plan(Place::Database, None);
    plan.budget = Budget { crashes: 1, drops: 1, duplicates: 1, ..Budget::default() };
    refines(plan);
}

#[test]
fn two_phase_commit_over_shards_refines_transaction_commit() {
    let mut plan = plan(Place::Shard, None);
    plan.budget = Budget { crashes: 1, ..Budget::default() };
    refines(plan);
}

#[test]
fn three_phase_commit_without_faults_refines_transaction_commit() {
    let mut plan = plan(Place::Shard, Some(Way::ThreePhase));
    plan.bounded_delay = true;
    refines(plan);
}

#[test]
fn paxos_commit_refines_transaction_commit() {
    refines(plan(Place::Shard, Some(Way::Paxos)));
}
