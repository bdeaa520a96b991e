//! Folding of like branches: nothing is lost by it, what is folded adds up, and mutants are caught.

use std::ops::ControlFlow;

use handfast_core::plan::Kind::Step;
use handfast_sim::{
    check::{self, Report},
    explore::{Options, Verdict},
    mutants::Mutant,
    trace::{self, Trace},
    world::{Budget, Plan, Searches},
};

use crate::worlds::{
    NONE, applied, beside, held, over_three, shards, steps, two, votes, with, with_callers,
};

fn run(plan: Plan) -> Report {
    let options = Options { settles: true, states_max: 2_000_000 };
    check::run(plan, options, |_| ControlFlow::Continue(()))
}

/// Small worlds of like branches, with every kind of fault.
fn plans() -> Vec<Plan> {
    let crash = Budget { crashes: 1, ..NONE };
    vec![
        with(with_callers(votes(), 1, 1), Budget { crashes: 1, drops: 1, ..NONE }),
        Plan { searches: Searches::Always, ..with(with_callers(two(), 2, 0), crash) },
        with(with_callers(applied(), 1, 1), Budget { meddles: 1, delays: 1, ..NONE }),
        with(held(), Budget { crashes: 1, duplicates: 1, ..NONE }),
        with(two(), Budget { crashes: 1, breaks: 2, ..NONE }),
        Plan { fences: false, ..with(two(), Budget { delays: 1, revivals: 1, ..crash }) },
        with(over_three(two()), crash),
        with(over_three(votes()), NONE),
        with(with_callers(beside(&[Step, Step]), 1, 1), crash),
        with(beside(&[Step, Step, Step]), NONE),
    ]
}

#[test]
fn folded_states_stand_for_all_others() {
    for plan in plans() {
        let any_left = Plan { any_left: true, ..plan.clone() };
        let all = run(any_left);
        let folded = run(plan.clone().folded());
        println!("{:?}, folded {:?}", all.explored.progress, folded.explored.progress);
        assert!(matches!(all.explored.verdict, Verdict::Holds));
        assert!(matches!(folded.explored.verdict, Verdict::Holds));
        let (seen, depth) = (all.explored.progress.distinct, all.explored.progress.depth);
        assert_eq!((folded.unfolded, folded.explored.progress.depth), (seen, depth));
        assert!(folded.explored.progress.distinct < seen);
        assert_eq!(folded.marks, all.marks);
        // What may leave of a dying node in order may also leave in any.
        let in_order = run(plan);
        assert!(in_order.explored.progress.distinct <= seen);
        assert!(in_order.marks.iter().all(|mark| all.marks.has(mark)));
    }
}

#[test]
fn mutants_are_caught_among_folded_states() {
    let crash = Budget { crashes: 1, ..NONE };
    let twice = || with(with_callers(two(), 2, 1), crash);
    let late = || with(with_callers(two(), 1, 1), Budget { delays: 1, duplicates: 1, ..NONE });
    let searched = || {
        let wish = two().transactions[0].clone();
        Plan { searches: Searches::Always, ..Plan::new(vec![wish.clone(), wish]) }
    };
    let mutants = [
        (Mutant::UnsyncedDecision, twice()),
        (Mutant::ForgottenAbort, twice()),
        (Mutant::EarlyFinish, two()),
        (Mutant::MissingClose, two()),
        (Mutant::OneVoteForAll, two()),
        (Mutant::HoldIgnored, held()),
        (Mutant::LostTakenAsNo, Plan { searches: Searches::Never, ..late() }),
        (Mutant::GoneTakenAsFinished, with(two(), Budget { meddles: 1, ..NONE })),
        (Mutant::NoFence, late()),
        (Mutant::ActiveBeforePrepared, searched()),
        (Mutant::NoTimers, with(applied(), Budget { drops: 1, ..NONE })),
        (Mutant::AnyRun, Plan { prunes: false, ..twice() }),
        (Mutant::ForgetfulReplay, two()),
        (Mutant::TakenForNew, with_callers(two(), 2, 0)),
        (Mutant::SilentRestart, with(two(), crash)),
        (Mutant::RunUsedAgain, twice()),
    ];
    for (mutant, plan) in mutants {
        let plan = Plan { mutant: Some(mutant), ..plan.folded() };
        let report = run(plan.clone());
        let Verdict::Violated(found) = report.explored.verdict else {
            panic!("nobody caught {mutant:?} among {:?}", report.explored.progress);
        };
        // A counterexample is one that can happen as it is told.
        let (violation, actions) = (&found.violation, &found.actions);
        let text = Trace { plan: &plan, violation, actions }.to_string();
        let (steps, again) = trace::replay(&text, Some(mutant)).unwrap();
        assert_eq!(steps, actions.len(), "{text}");
        assert_eq!(again.map(|again| again.invariant), Some(violation.invariant), "{text}");
    }
}

#[test]
fn only_like_branches_are_folded() {
    let like = with(two(), Budget { crashes: 1, ..NONE });
    let like = like.folded();
    assert!(like.folds && !shards().folded().folds && !steps(&[Step, Step]).folded().folds);
    assert!(Plan::of_json(&like.to_json()).is_ok());
    // In order, the first branch hears of it first.
    let in_order = Plan { any_left: false, ..like.clone() };
    for plan in [in_order, shards(), steps(&[Step, Step])] {
        let plan = Plan { folds: true, ..plan };
        assert!(Plan::of_json(&plan.to_json()).is_err());
    }
}
