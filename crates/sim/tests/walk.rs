//! The seeded walk: a million steps of larger worlds, and everything worth coming by is among them.

use std::{ops::ControlFlow, time::Instant};

use handfast_sim::{
    marks::Mark,
    mutants::Mutant,
    walk::{self, BadTrace, Options},
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
        let trace = failure.to_string();
        let (steps, violation) = walk::replay(&trace, Some(mutant)).unwrap();
        assert_eq!(steps, failure.shortened.len(), "{trace}");
        assert_eq!(violation.unwrap().invariant, failure.violation.invariant, "{trace}");
        // What is right does not fail there, if it can go there at all.
        assert!(!matches!(walk::replay(&trace, None), Ok((_, Some(_)))), "{trace}");
    }
}

#[test]
fn a_trace_that_cannot_be_is_told_from_one_that_holds() {
    assert_eq!(walk::replay("> t0 begin", None), Err(BadTrace::NoSeed));
    let never = Err(BadTrace::Impossible("c0 syncs".into()));
    assert_eq!(walk::replay("seed 7, 1 steps\n> c0 syncs\n", None), never);
    assert_eq!(walk::replay("seed 7, 1 steps\n> t0 begin\n", None), Ok((1, None)));
}
