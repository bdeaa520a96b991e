//! BHG: AC2. A branch that was held open may have died since: then its commit must not succeed, see
//! `finished_is_proved`.

use handfast_core::transaction::{Decision, Voted};

use crate::world::{Place, State, Touched, World};

pub const INVARIANT: &str = "commit only if all voted yes";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for transaction in touched.transactions(world) {
        let Some(known) = world.known(transaction) else { continue };
        if known.decision != Some(Decision::Commit) {
            continue;
        }
        for ((branch, state), told) in world.states_of(known.run).iter().zip(&known.branches) {
            // A shard does not remember a branch that wrote nothing.
            let is_forgotten = told.vote == Voted::ReadOnly
                && matches!(world.plan.branch(*branch).at, Place::Shard(_));
            if (*state == State::Fresh && !is_forgotten) || state.is_aborted() {
                return Err(format!("commit is decided, and {branch} is {state:?}"));
            }
        }
    }
    Ok(())
}
