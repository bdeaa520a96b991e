//! Replaying the log is recovery, and there is no second way: what the production code reads back
//! from the log is what the machines promised.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use crate::world::{Coordinator, Plan, ShardNode};

pub const INVARIANT: &str = "replay is what was saved";

pub fn check_coordinator(_: &Plan, coordinator: &Coordinator) -> Result<(), String> {
    compare(coordinator.node.all_durable(), &coordinator.node.replayed())
}

pub fn check_shard(_: &Plan, _: u8, shard: &ShardNode) -> Result<(), String> {
    compare(shard.node.all_durable(), &shard.node.replayed())
}

fn compare<'a, S: Debug + Eq + 'a>(
    durable: impl Iterator<Item = (&'a Arc<str>, &'a S)>,
    replayed: &BTreeMap<Arc<str>, S>,
) -> Result<(), String> {
    for (stream, saved) in durable {
        if replayed.get(stream) != Some(saved) {
            let found = replayed.get(stream);
            return Err(format!("{stream}: promised {saved:?}, read back {found:?}"));
        }
    }
    Ok(())
}
