//! BHG: AC2. A branch that was held open may have died since: then its commit must not succeed, see
//! `finished_is_proved`.

use handfast_core::{plan::Kind, transaction::Decision};

use crate::world::{State, Touched, World};

pub const INVARIANT: &str = "commit only if all voted yes";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for transaction in touched.transactions(world) {
        let Some(known) = world.known(transaction) else { continue };
        if known.decision != Some(Decision::Commit) {
            continue;
        }
        for (branch, state) in world.states_of(known.run) {
            let is_later = known.kind(branch.index) == Kind::Deliver;
            let is_amiss = *state == State::Fresh || state.is_aborted();
            if is_amiss && !is_later && !super::has_dropped_out(world, *branch) {
                return Err(format!("commit is decided, and {branch} is {state:?}"));
            }
        }
    }
    Ok(())
}
