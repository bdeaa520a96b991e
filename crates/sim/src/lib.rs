//! Proof: worlds of Handfast's machines, walked by seed and exhaustively.
#![forbid(unsafe_code)]

pub mod explore;
pub mod published;
pub mod lab;
pub mod random;
pub mod virtual_time;
mod machines;
pub mod marks;
pub mod mutants;
pub mod world;
pub mod invariants;
pub mod check;
pub mod refinement;
pub mod walk;
