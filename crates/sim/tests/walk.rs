//! The seeded walk: a million steps of larger worlds, and everything worth coming by is among them.

use std::{ops::ControlFlow, time::Instant};

use handfast_sim::{
    marks::Mark,
    walk::{self, Options},
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
