//! GL: TCConsistent; BHG: AC1, for the branches and their coordinator. What is done by hand is not
//! counted here: that makes a transaction mixed, and `finished_is_proved` checks that it is found.

use handfast_core::plan::Kind;

use super::Seen;
use crate::world::{Branch, State, World};

pub const INVARIANT: &str = "no two processes of a run end differently";

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    if let Some(known) = seen.known.filter(|known| seen.commits(known.run)) {
        // A delivery comes after the decision, and may not have been fenced when it was aborted.
        let mut before = world.states_of(known.run).iter();
        let is_amiss = |of: &&(Branch, State)| {
            known.kind(of.0.index) != Kind::Deliver && is_aborted(world, of)
        };
        if let Some((branch, _)) = before.find(is_amiss) {
            return Err(format!("{branch} is aborted, and its coordinator commits"));
        }
    }
    for (_, states) in seen.committed() {
        if let Some((branch, _)) = states.iter().find(|of| is_aborted(world, of)) {
            return Err(format!("{branch} is aborted, another is {:?}", State::Committed));
        }
    }
    Ok(())
}

fn is_aborted(world: &World, (branch, state): &(Branch, State)) -> bool {
    state.is_aborted() && !super::has_dropped_out(world, *branch)
}
