//! After the bank test of Jepsen. Nothing is lost, doubled or made: each key of each shard holds
//! what it held at first, and what the branches that are committed there have added.

use handfast_core::work::Value;

use crate::world::{Place, SHARD, State, World};

pub const INVARIANT: &str = "money is conserved";

pub fn check(world: &World, number: u8) -> Result<(), String> {
    let Some(saved) = world.shard(number).node.saved(SHARD) else { return Ok(()) };
    for (key, value) in &saved.keys {
        let sum = world.plan.loaded + added(world, Place::Shard(number), key);
        if *value != Value::Int(sum) {
            return Err(format!("s{number}: {key} holds {value}, not {sum}"));
        }
    }
    Ok(())
}

/// What the branches that are committed there have added.
fn added(world: &World, at: Place, key: &str) -> i64 {
    let committed = world.states().iter().filter(|(_, state)| *state == State::Committed);
    let wishes = committed.map(|(branch, _)| world.plan.branch(*branch));
    let adds = wishes.filter(|wish| wish.at == at).flat_map(|wish| &wish.adds);
    adds.filter(|(other, _)| other == key).map(|(_, by)| by).sum()
}
