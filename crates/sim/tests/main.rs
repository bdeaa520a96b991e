//! Tests of the simulator, and the walks that prove the machines.
#![allow(clippy::unwrap_used)]

mod lab;
mod published;
mod check;
mod walk;
mod worlds;
mod refinement;
mod mutants;
