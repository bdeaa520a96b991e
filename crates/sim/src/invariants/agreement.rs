//! GL: TCConsistent; BHG: AC1. What is done by hand is not counted here: that makes a transaction
//! mixed, and `finished_is_proved` checks that it is found.

use super::Seen;
use crate::world::{State, World};

pub const INVARIANT: &str = "no two branches of a run end differently";

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    for (_, states) in seen.committed() {
        let aborted = states
            .iter()
            .find(|(branch, state)| state.is_aborted() && !super::has_dropped_out(world, *branch));
        if let Some((aborted, _)) = aborted {
            return Err(format!("{aborted} is aborted, another is {:?}", State::Committed));
        }
    }
    Ok(())
}
