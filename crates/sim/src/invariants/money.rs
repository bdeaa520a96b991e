//! Nothing is lost, doubled or made: each key of each shard holds what it held at first, and what
//! the branches that are committed there have added.

use handfast_core::work::Value;

use crate::world::{Place, SHARD, State, Touched, World};

pub const INVARIANT: &str = "money is conserved";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for number in touched.shards(world) {
        let Some(saved) = world.shard(number).node.saved(SHARD) else { continue };
        for (key, value) in &saved.keys {
            let sum = world.plan.loaded + added(world, Place::Shard(number), key);
            if *value != Value::Int(sum) {
                return Err(format!("s{number}: {key} holds {value}, not {sum}"));
            }
        }
    }
    Ok(())
}

/// What the branches that are committed there have added.
fn added(world: &World, at: Place, key: &str) -> i64 {
    let committed = world.branches().filter(|branch| {
        world.plan.branch(*branch).at == at && world.state(*branch) == State::Committed
    });
    let adds = committed.flat_map(|branch| &world.plan.branch(branch).adds);
    adds.filter(|(other, _)| other == key).map(|(_, by)| by).sum()
}
