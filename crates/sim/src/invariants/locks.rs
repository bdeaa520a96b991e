//! GR, chapter 7: strict two-phase locking. A prepared branch has its locks, a branch that is over
//! has none, and nobody waits for nobody.

use handfast_core::shard::Mode;

use crate::world::{Branch, Plan, SHARD, ShardNode};

pub const INVARIANT: &str = "locks are held until the end, and no longer";

pub fn check(plan: &Plan, _: u8, shard: &ShardNode) -> Result<(), String> {
    let (Some(saved), Some(live)) = (shard.node.saved(SHARD), shard.node.live(SHARD)) else {
        return Ok(());
    };
    for (key, _, holders) in live.locks.held() {
        for holder in holders {
            if !saved.prepared.contains_key(holder) && !live.waiting.contains_key(holder) {
                return Err(format!("{holder} is over and holds {key}"));
            }
        }
    }
    for id in saved.prepared.keys() {
        for (key, by) in &plan.branch(Branch::of(id)).adds {
            let has = live.locks.held().any(|(held, mode, holders)| {
                held == key && (mode == Mode::Exclusive || *by == 0) && holders.contains(id)
            });
            if !has {
                return Err(format!("{id} is prepared and does not hold {key}"));
            }
        }
    }
    if !live.waiting.is_empty() && saved.prepared.is_empty() {
        return Err("a branch waits for a lock that nobody holds".into());
    }
    Ok(())
}
