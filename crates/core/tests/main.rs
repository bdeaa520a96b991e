//! Tests of the machines.
#![allow(clippy::unwrap_used)]

mod golden;
mod orphans;
mod pact;
mod peers;
mod records;
mod shard;
mod transaction;
