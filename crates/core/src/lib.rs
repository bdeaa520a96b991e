//! The pure heart of Handfast: state machines that know no clock, no thread, no chance, no I/O.
//!
//! Read in this order: [`machine`] says what every machine is and the one rule of writing ahead;
//! [`transaction`] is two-phase commit with presumed abort; [`shard`] is a participant of our own;
//! [`pact`] holds the two other ways to decide, which both speak; [`orphans`] finds what a crash
//! left prepared.
//! The other modules hold the words these speak.
//!
//! The server, the simulator and the exhaustive checker drive these very types.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod machine;
pub mod orphans;
pub mod pact;
pub mod shard;
pub mod transaction;

pub mod id;
mod kind_first;
pub mod limits;
pub mod plan;
pub mod retry;
pub mod vote;
pub mod work;
