//! BHG: AC5, under the assumption that faults end: then every branch ends, every caller is answered
//! and nobody holds anything.

use handfast_core::pact::Way;

use crate::world::{Branch, Place, SHARD, Wish, World};

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

/// The same, but those who are dead for good are not waited for: those who live must end without
/// them, unless more acceptors are dead than Paxos commit is made for.
pub fn left(world: &World) -> Option<String> {
    if !world.plan.dead_for_good {
        return unsettled(world);
    }
    if world.plan.transactions.iter().any(|wish| has_no_majority(world, wish)) {
        return None;
    }
    let waits = |branch: &Branch| {
        world.is_up(world.plan.branch(*branch).at) && world.state(*branch).is_waiting()
    };
    world.branches().find(waits).map(|branch| format!("{branch} waits for the dead"))
}

fn has_no_majority(world: &World, wish: &Wish) -> bool {
    let coordinator = Place::Coordinator(wish.coordinator);
    let acceptors = std::iter::once(&coordinator).chain(&wish.acceptors);
    let dead = acceptors.filter(|place| !world.is_up(**place)).count();
    wish.decide == Some(Way::Paxos) && dead > wish.acceptors.len() / 2
}
