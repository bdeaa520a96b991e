//! Known ways to be wrong: each must be caught, or the walks prove nothing. By which invariant, and
//! after how many states and steps, is a table in docs/proof.md.

use std::{collections::BTreeSet, fmt::Write as _, ops::ControlFlow};

use handfast_core::plan::Kind::{Deliver, Step};
use handfast_sim::{
    check,
    explore::{Counterexample, Options, Verdict},
    invariants,
    mutants::Mutant,
    trace::{self, Trace},
    world::{Action, Budget, Plan, Searches},
};

use crate::{
    page,
    worlds::{
        NONE, applied, beside, held, message, one_key, one_phase, paxos, shards, steps,
        three_phase, two, using, with, with_callers,
    },
};

/// Each in a world in which it does harm.
fn mutants() -> Vec<(Mutant, Plan)> {
    let crash = Budget { crashes: 1, ..NONE };
    let twice = || with(with_callers(two(), 2, 1), crash);
    let one_twice = || with(with_callers(one_phase(), 2, 1), crash);
    let late = || with(with_callers(two(), 1, 1), Budget { delays: 1, duplicates: 1, ..NONE });
    let meddled = || with(two(), Budget { meddles: 1, ..NONE });
    // Two of one coordinator: the search begins when the first is prepared.
    let searched = || {
        let wish = two().transactions[0].clone();
        Plan { searches: Searches::Always, ..Plan::new(vec![wish.clone(), wish]) }
    };
    // A search would find what nobody tells.
    let unsearched = || Plan { searches: Searches::Never, ..late() };
    // What is late must not be forgotten.
    let remembered = || Plan { prunes: false, ..twice() };
    // The coordinator may die, and the members take over.
    let taken_over = || Plan { torn_max: Some(0), ..with(paxos(), crash) };
    let transfer = || with(shards(), crash);
    // Three deaths: of one who knows no more, of who led, and of who has committed.
    let down = Budget { crashes: 3, ballots: 4, ..NONE };
    vec![
        (Mutant::UnsyncedPreCommit, three_phase(2)),
        (Mutant::UnsyncedPreCommitted, three_phase(2)),
        (Mutant::RecoveringCounts, Plan { torn_max: None, ..with(three_phase(2), down) }),
        (Mutant::AbortsForNothing, two()),
        (Mutant::LateTimeout, two()),
        (Mutant::AnyRunCommits, twice()),
        (Mutant::WritesEarly, shards()),
        (Mutant::UnaskedAnswer, one_key(2)),
        (Mutant::UnsyncedDecision, twice()),
        (Mutant::UnsyncedDelegation, one_twice()),
        (Mutant::ForgottenAbort, twice()),
        (Mutant::EarlyFinish, two()),
        (Mutant::EarlyInquiryAbort, transfer()),
        (Mutant::MissingClose, two()),
        (Mutant::OneVoteForAll, two()),
        (Mutant::HoldIgnored, held()),
        (Mutant::LostTakenAsNo, unsearched()),
        (Mutant::GoneTakenAsFinished, meddled()),
        (Mutant::NoFence, late()),
        (Mutant::ActiveBeforePrepared, searched()),
        (Mutant::NoTimers, with(applied(), Budget { drops: 1, ..NONE })),
        (Mutant::AnyRun, remembered()),
        (Mutant::ForgetfulReplay, two()),
        (Mutant::ForgetfulSleep, with(steps(&[Step]), Budget { drops: 1, ..NONE })),
        (Mutant::TakenForNew, with_callers(two(), 2, 0)),
        (Mutant::SilentRestart, with(two(), crash)),
        (Mutant::RunUsedAgain, twice()),
        (Mutant::UnsyncedPrepared, transfer()),
        (Mutant::VoteForgotten, transfer()),
        (Mutant::LocksKept, shards()),
        (Mutant::LocksLetGoEarly, one_key(2)),
        (Mutant::TakeoverCommits, taken_over()),
        (Mutant::TwoProposals, taken_over()),
        (Mutant::AcceptorForgets, taken_over()),
        (Mutant::DecidesAlone, with(shards(), Budget { crashes: 2, ..NONE })),
    ]
}

/// Those that do harm to plans.
fn of_plans() -> Vec<(Mutant, Plan)> {
    let crash = Budget { crashes: 1, ..NONE };
    vec![
        (Mutant::UndoSkipped, with(steps(&[Step, Step]), NONE)),
        (Mutant::UndoBeforeSettled, with_callers(steps(&[Step, Step]), 1, 1)),
        (Mutant::UndoUnordered, with_callers(steps(&[Step, Step]), 1, 1)),
        (Mutant::EarlyDelivery, steps(&[Step, Deliver])),
        (Mutant::StepAfterAbort, with_callers(steps(&[Step, Step]), 1, 1)),
        (Mutant::ResultLost, with(using(), crash)),
        (Mutant::ResultUsedUnsynced, with(using(), crash)),
        (Mutant::AheadForgotten, with(with_callers(steps(&[Step, Step]), 1, 1), crash)),
        (Mutant::SilenceTakenForNo, message()),
        (Mutant::UnsyncedPlan, with(steps(&[Step, Step]), crash)),
        (Mutant::WaitsIgnored, with(beside(&[Deliver, Deliver]), Budget { drops: 1, ..NONE })),
    ]
}

/// Nothing is wrong in it, and its assumption does not hold.
fn parted() -> (&'static str, Plan) {
    let plan = with(three_phase(2), Budget { cuts: 1, ballots: 8, ..NONE });
    ("Nothing; but three-phase commit is run where the network parts.", plan)
}

#[test]
fn every_mutant_is_caught() {
    let mut table =
        String::from("\n| mutant | caught by | states | steps |\n|---|---|---:|---:|\n");
    let (mut survivors, mut idle) = (Vec::new(), all_invariants());
    let mut mutants = [mutants(), of_plans()].concat();
    mutants.sort_unstable_by_key(|(mutant, _)| *mutant);
    let wrong: Vec<_> = mutants.iter().map(|(mutant, _)| *mutant).collect();
    assert_eq!(wrong, Mutant::ALL, "each mutant has one world here");
    let of_mutant =
        |(mutant, plan): (Mutant, Plan)| (mutant.name(), Plan { mutant: Some(mutant), ..plan });
    for (name, plan) in mutants.into_iter().map(of_mutant).chain([parted()]) {
        let own = plan.clone();
        let options = Options { settles: true, states_max: 2_000_000 };
        let explored = check::run(plan, options, |_| ControlFlow::Continue(())).explored;
        let Verdict::Violated(counterexample) = explored.verdict else {
            survivors.push(name);
            continue;
        };
        replays(&own, &counterexample);
        let (invariant, steps) = (counterexample.violation.invariant, counterexample.actions.len());
        let states = explored.progress.distinct;
        idle.remove(invariant);
        println!("{name} {invariant}, {states} states, {steps} steps");
        for action in &counterexample.actions {
            println!("  > {action}");
        }
        let _ = writeln!(table, "| {name} | {invariant} | {states} | {steps} |");
    }
    assert!(survivors.is_empty(), "nobody caught {survivors:?}");
    assert!(idle.is_empty(), "these caught nothing: {idle:?}");
    page::table("mutants", &table);
}

fn all_invariants() -> BTreeSet<&'static str> {
    let of_transactions = invariants::OF_TRANSACTIONS.iter().map(|(name, _)| *name);
    let of_messages = invariants::OF_MESSAGES.iter().map(|(name, _)| *name);
    let of_keys = invariants::OF_KEYS.iter().map(|(name, _)| *name);
    let of_coordinators = invariants::OF_COORDINATORS.iter().map(|(name, _)| *name);
    let of_shards = invariants::OF_SHARDS.iter().map(|(name, _)| *name);
    let of_nodes = of_coordinators.chain(of_shards).chain([invariants::SETTLED]);
    of_transactions.chain(of_messages).chain(of_keys).chain(of_nodes).collect()
}

/// What was found, written and read back, is found again.
fn replays(plan: &Plan, found: &Counterexample<Action>) {
    let Counterexample { violation, actions } = found;
    let text = Trace { plan, violation, actions }.to_string();
    let (steps, again) = trace::replay(&text, plan.mutant).unwrap();
    assert_eq!(steps, actions.len(), "{text}");
    assert_eq!(again.map(|again| again.invariant), Some(violation.invariant), "{text}");
}
