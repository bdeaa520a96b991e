//! Proof: worlds of Handfast's machines, walked by seed and exhaustively.
#![forbid(unsafe_code)]

pub mod check;
pub mod explore;
pub mod invariants;
pub mod lab;
mod machines;
pub mod marks;
pub mod mutants;
pub mod published;
pub mod random;
pub mod refinement;
pub mod trace;
pub mod virtual_time;
pub mod walk;
pub mod world;
