//! BHG: AC5, under the assumption that faults end: then every branch ends, every caller is answered
//! and nobody holds anything.

use crate::world::{Branch, SHARD, World};

/// Its name.
pub const INVARIANT: &str = "once nothing goes wrong any more, all ends";

/// What is left to do, if anything is.
pub fn unsettled(world: &World) -> Option<String> {
    if let Some(place) = world.nodes().find(|place| !world.is_up(*place)) {
        return Some(format!("{place} is down"));
    }
    if let Some(branch) = world.branches().find(|branch| world.state(*branch).is_waiting()) {
        return Some(format!("{branch} waits"));
    }
    for (number, coordinator) in world.coordinators.iter().enumerate() {
        if let Some(run) = coordinator.active.iter().next() {
            return Some(format!("{run} of c{number} is open"));
        }
        let waits = |live: &handfast_core::transaction::Live| !live.waiters.is_empty();
        if coordinator.node.in_memory().any(|(_, _, live)| waits(live)) {
            return Some(format!("a caller of c{number} waits"));
        }
    }
    for (number, shard) in world.shards.iter().enumerate() {
        let Some(live) = shard.node.live(SHARD) else { continue };
        if !live.waiting.is_empty() || live.locks.held().next().is_some() {
            return Some(format!("somebody waits for a lock of s{number}, or holds one"));
        }
    }
    None
}

/// Which branch waits at a shard that is up, if one does: those who live must end without the dead.
pub fn waits_for_the_dead(world: &World) -> Option<String> {
    let waits = |branch: &Branch| {
        world.is_up(world.plan.branch(*branch).at) && world.state(*branch).is_waiting()
    };
    world.branches().find(waits).map(|branch| format!("{branch} waits for the dead"))
}
