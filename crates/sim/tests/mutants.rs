//! Known ways to be wrong: each must be caught, or the walks prove nothing. By which invariant, and
//! after how many states and steps, is a table in docs/proof.md.

use std::{fmt::Write as _, ops::ControlFlow};

use handfast_core::plan::Kind::{Deliver, Step};
use handfast_sim::{
    check,
    explore::{Counterexample, Options, Verdict},
    mutants::Mutant,
    trace::{self, Trace},
    world::{Action, Budget, Plan, Searches},
};

use crate::{
    page,
    worlds::{
        NONE, applied, held, message, one_key, one_phase, paxos, shards, steps, two, with,
        with_callers,
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
    vec![
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
        (Mutant::VoteNotRecorded, shards()),
        (Mutant::LocksKept, shards()),
        (Mutant::LocksLetGoEarly, one_key(2)),
        (Mutant::TakeoverCommits, taken_over()),
        (Mutant::TwoProposals, taken_over()),
        (Mutant::AcceptorForgets, taken_over()),
        (Mutant::UndoSkipped, with(steps(&[Step, Step]), NONE)),
        (Mutant::UndoBeforeSettled, with_callers(steps(&[Step, Step]), 1, 1)),
        (Mutant::UndoUnordered, with_callers(steps(&[Step, Step]), 1, 1)),
        (Mutant::EarlyDelivery, steps(&[Step, Deliver])),
        (Mutant::StepAfterAbort, with_callers(steps(&[Step, Step]), 1, 1)),
        (Mutant::ResultLost, with(steps(&[Step, Step]), crash)),
        (Mutant::SilenceTakenForNo, message()),
        (Mutant::UnsyncedPlan, with(steps(&[Step, Step]), crash)),
        (Mutant::DecidesAlone, with(shards(), Budget { crashes: 2, ..NONE })),
    ]
}

#[test]
fn every_mutant_is_caught() {
    let mut table =
        String::from("\n| mutant | caught by | states | steps |\n|---|---|---:|---:|\n");
    let mut survivors = Vec::new();
    for (mutant, plan) in mutants() {
        let plan = Plan { mutant: Some(mutant), ..plan };
        let own = plan.clone();
        let options = Options { settles: true, states_max: 2_000_000 };
        let explored = check::run(plan, options, |_| ControlFlow::Continue(())).explored;
        let Verdict::Violated(counterexample) = explored.verdict else {
            survivors.push(mutant);
            continue;
        };
        replays(&own, &counterexample);
        let (invariant, steps) = (counterexample.violation.invariant, counterexample.actions.len());
        let states = explored.progress.distinct;
        println!("{mutant:?}: {invariant}, {states} states, {steps} steps");
        for action in &counterexample.actions {
            println!("  > {action}");
        }
        let _ = writeln!(table, "| {} | {invariant} | {states} | {steps} |", mutant.name());
    }
    assert!(survivors.is_empty(), "nobody caught {survivors:?}");
    page::table("mutants", &table);
}

/// What was found, written and read back, is found again.
fn replays(plan: &Plan, found: &Counterexample<Action>) {
    let Counterexample { violation, actions } = found;
    let text = Trace { plan, violation, actions }.to_string();
    let (steps, again) = trace::replay(&text, plan.mutant).unwrap();
    assert_eq!(steps, actions.len(), "{text}");
    assert_eq!(again.map(|again| again.invariant), Some(violation.invariant), "{text}");
}
