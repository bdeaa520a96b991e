//! Nothing is lost, doubled or made: each key of each shard holds what it held at first, and what
//! the branches that are committed there have added.

use std::collections::BTreeMap;

use handfast_core::work::Value;

use crate::world::{Place, SHARD, State, Touched, World};

pub const INVARIANT: &str = "money is conserved";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for number in touched.shards(world) {
        let Some(saved) = world.shard(number).node.saved(SHARD) else { continue };
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for branch in world.branches() {
            let wish = world.plan.branch(branch);
            if wish.at == Place::Shard(number) && world.state(branch) == State::Committed {
                for (key, by) in &wish.adds {
                    *sums.entry(key).or_default() += by;
                }
            }
        }
        for (key, value) in &saved.keys {
            let sum = world.plan.loaded + sums.get(&**key).copied().unwrap_or_default();
            if *value != Value::Int(sum) {
                return Err(format!("s{number}: {key} holds {value}, not {sum}"));
            }
        }
    }
    Ok(())
}
