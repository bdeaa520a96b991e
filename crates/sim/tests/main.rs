//! Tests of the simulator, and the walks that prove the machines.
#![allow(clippy::unwrap_used)]

mod check;
mod fold;
mod lab;
mod mutants;
mod page;
mod published;
mod refinement;
mod steps;
mod walk;
mod worlds;
