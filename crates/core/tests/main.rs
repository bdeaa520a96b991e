//! Tests of the machines.
#![allow(clippy::unwrap_used)]

mod golden;
mod shard;
mod transaction;
