//! The tests of the log: engines, partition, damage, death.
#![allow(clippy::unwrap_used)]

mod counter;
mod scratch;

mod damage;
mod engines;
mod kill;
mod opening;
mod partition;
mod reader;
