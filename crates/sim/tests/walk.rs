//! The seeded walk: a million steps of larger worlds, and everything worth coming by is among them.

use std::{ops::ControlFlow, time::Instant};

use handfast_sim::{
    marks::Mark,
    mutants::Mutant,
    trace::{self, BadTrace},
    walk::{self, Options},
    world::{Place, Plan, Wish},
};

#[test]
fn a_million_steps() {
    let begun = Instant::now();
    let walked = walk::run(Options::default(), |_| ControlFlow::Continue(()));
    println!("{:?}, {:.1} s", walked.progress, begun.elapsed().as_secs_f64());
    if let Some(failure) = walked.failure {
        panic!("{failure}");
    }
    for mark in Mark::ALL {
        assert!(walked.progress.marks.has(*mark), "never reached: {}", mark.name());
    }
}

#[test]
fn a_failure_is_printed_so_that_it_can_be_read_back() {
    for mutant in [Mutant::EarlyFinish, Mutant::LocksLetGoEarly, Mutant::UnsyncedPrepared] {
        let options = Options { steps: 300_000, mutant: Some(mutant), ..Options::default() };
        let walked = walk::run(options, |_| ControlFlow::Continue(()));
        let failure = walked.failure.unwrap_or_else(|| panic!("nobody caught {mutant:?}"));
        let text = failure.to_string();
        let (steps, violation) = trace::replay(&text, Some(mutant)).unwrap();
        assert_eq!(steps, failure.shortened.len(), "{text}");
        assert_eq!(violation.unwrap().invariant, failure.violation.invariant, "{text}");
        // What is right does not fail there, if it can go there at all.
        assert!(!matches!(trace::replay(&text, None), Ok((_, Some(_)))), "{text}");
    }
}

#[test]
fn a_trace_that_cannot_be_is_told_from_one_that_holds() {
    assert_eq!(trace::replay("> t0 begin", None), Err(BadTrace::NoWorld));
    let world = Plan::new(vec![Wish::over(&[Place::Database(0), Place::Database(1)])]).to_json();
    let replay = |steps: &str| trace::replay(&format!("world {world}\n{steps}"), None);
    assert_eq!(replay("> c0 syncs\n"), Err(BadTrace::Impossible("c0 syncs".into())));
    // There is no crash in the budget.
    assert_eq!(replay("> c0 dies\n"), Err(BadTrace::Impossible("c0 dies".into())));
    assert_eq!(replay("> t0 begin\n"), Ok((1, None)));
}

#[test]
fn a_world_that_cannot_be_is_refused() {
    let world = Plan::new(vec![Wish::over(&[Place::Database(0)])]).to_json();
    let worlds = [
        "nonsense".to_owned(),
        world.replace("\"coordinators\":1", "\"coordinators\":0"),
        world.replace("\"databases\":1", "\"databases\":200"),
        world.replace("{\"Database\":0}", "{\"Database\":1}"),
        world.replace("{\"Database\":0}", "{\"Coordinator\":0}"),
        world.replace("\"loaded\":100", "\"loaded\":9223372036854775807"),
    ];
    for bad in worlds {
        let replayed = trace::replay(&format!("world {bad}\n> t0 begin\n"), None);
        assert!(matches!(replayed, Err(BadTrace::BadWorld(_))), "{bad}: {replayed:?}");
    }
}

#[test]
fn worlds_have_as_many_nodes_as_are_wanted() {
    for nodes in 1..=7 {
        // Wrong on purpose, so that there is a world to be seen.
        let mutant = Some(Mutant::EarlyFinish);
        let options = Options { nodes: Some(nodes), steps: 100_000, mutant, ..Options::default() };
        let walked = walk::run(options, |_| ControlFlow::Continue(()));
        let plan = walked.failure.expect("it must be caught").plan;
        assert_eq!(plan.coordinators + plan.shards, nodes);
    }
}
