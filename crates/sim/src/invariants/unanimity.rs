//! BHG: AC2. A branch that was held open may have died since: then its commit must not succeed, see
//! `finished_is_proved`. One that may have voted yes before it was aborted is a matter of
//! `agreement`.

use handfast_core::plan::Kind;

use super::Seen;
use crate::world::{Place, State, World};

pub const INVARIANT: &str = "commit only if all voted yes";

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    let Some(known) = seen.known.filter(|known| seen.commits(known.run)) else { return Ok(()) };
    for (branch, state) in world.states_of(known.run) {
        let has_not_voted_yes = match state {
            State::Fresh => true,
            // Of a branch of a shard that is over it is not known whether it was prepared.
            State::Aborted => !matches!(world.plan.branch(*branch).at, Place::Shard(_)),
            _ => false,
        };
        let is_later = known.kind(branch.index) == Kind::Deliver;
        if has_not_voted_yes && !is_later && !super::has_dropped_out(world, *branch) {
            return Err(format!("commit is decided, and {branch} is {state:?}"));
        }
    }
    Ok(())
}
