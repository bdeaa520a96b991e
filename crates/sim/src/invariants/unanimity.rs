//! BHG: AC2. A branch that was held open may have died since: then its commit must not succeed, see
//! `finished_is_proved`.

use handfast_core::{
    plan::Kind,
    transaction::{Decision, Known},
};

use super::Seen;
use crate::world::{State, World};

pub const INVARIANT: &str = "commit only if all voted yes";

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    let decides = |known: &&Known| known.decision == Some(Decision::Commit);
    let Some(known) = seen.known.filter(decides) else { return Ok(()) };
    for (branch, state) in world.states_of(known.run) {
        let is_later = known.kind(branch.index) == Kind::Deliver;
        let is_amiss = *state == State::Fresh || state.is_aborted();
        if is_amiss && !is_later && !super::has_dropped_out(world, *branch) {
            return Err(format!("commit is decided, and {branch} is {state:?}"));
        }
    }
    Ok(())
}
