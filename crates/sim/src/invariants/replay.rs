//! Lampson 1983, "Hints for computer system design": the log is the truth about the state.
//! Replaying it is recovery, and there is no second way: what the production code reads back from
//! the log is what the machines promised.

use handfast_core::machine::Machine;
use serde::{Serialize, de::DeserializeOwned};

use crate::world::{Coordinator, Node, Plan, ShardNode};

pub const INVARIANT: &str = "replay is what was saved";

pub fn check_coordinator(_: &Plan, coordinator: &Coordinator) -> Result<(), String> {
    check(&coordinator.node)
}

pub fn check_shard(_: &Plan, _: u8, shard: &ShardNode) -> Result<(), String> {
    check(&shard.node)
}

fn check<M: Machine>(node: &Node<M>) -> Result<(), String>
where
    M::Record: Serialize + DeserializeOwned,
{
    for (stream, saved) in node.all_durable() {
        let found = node.replayed(stream);
        if found != *saved {
            return Err(format!("{stream}: promised {saved:?}, read back {found:?}"));
        }
    }
    Ok(())
}
