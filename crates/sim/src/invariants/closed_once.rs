//! The rules of driving: every run that was begun, or brought back in this life of the node, is let
//! go once, when nothing more will be asked for it. A driver that counts on it would leak, or let
//! go of what is still alive.

use crate::world::{Place, Touched, World, transaction};

pub const INVARIANT: &str = "every run is closed once";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for (transaction, facts) in touched.facts(world) {
        if facts.closed_amiss {
            return Err(format!("a run of t{transaction} was closed, and was not open"));
        }
    }
    for run in super::runs(world, touched) {
        let number = world.plan.wish(run).coordinator;
        if !world.is_up(Place::Coordinator(number)) {
            continue;
        }
        let known = world.known(transaction(run)).filter(|known| known.run == run);
        let is_alive = known.is_some_and(|known| !known.finished) || world.is_voting(run);
        if world.coordinator(number).active.contains(&run) != is_alive {
            let what = if is_alive { "alive and closed" } else { "over and not closed" };
            return Err(format!("{run} is {what}"));
        }
    }
    Ok(())
}
