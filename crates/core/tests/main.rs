//! Tests of the machines.
#![allow(clippy::unwrap_used)]

mod golden;
mod pact;
mod peers;
mod shard;
mod transaction;
