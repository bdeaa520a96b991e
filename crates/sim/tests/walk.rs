//! The seeded walk.

use std::{ops::ControlFlow, time::Instant};

use handfast_sim::walk::{self, Options};

#[test]
fn a_million_steps() {
    let begun = Instant::now();
    let walked = walk::run(Options::default(), |_| ControlFlow::Continue(()));
    println!("{:?}, {:.1} s", walked.progress, begun.elapsed().as_secs_f64());
    for mark in walked.progress.marks.iter() {
        println!("reached: {}", mark.name());
    }
    if let Some(failure) = walked.failure {
        panic!("{failure}");
    }
}
