//! The rules of driving (`handfast_core::machine`): every run that was begun, or brought back in
//! this life of the node, is let go once, when nothing more will be asked for it. A driver that
//! counts on it would leak, or let go of what is still alive.

use super::Seen;
use crate::world::{Place, World};

pub const INVARIANT: &str = "every run is closed once";

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    if seen.facts.closed_amiss {
        return Err(format!("a run of t{} was closed, and was not open", seen.transaction));
    }
    let number = seen.wish.coordinator;
    if !world.is_up(Place::Coordinator(number)) {
        return Ok(());
    }
    let active = &world.coordinator(number).active;
    let open = seen.known.filter(|known| !known.finished).map(|known| known.run);
    let voting = seen.live.and_then(|live| live.voting.as_ref()).map(|voting| voting.run);
    for run in &seen.facts.runs {
        let is_alive = open == Some(*run) || voting == Some(*run);
        if active.contains(run) != is_alive {
            let what = if is_alive { "alive and closed" } else { "over and not closed" };
            return Err(format!("{run} is {what}"));
        }
    }
    Ok(())
}
