//! GL: TCConsistent; BHG: AC1. What is done by hand is not counted here: that makes a transaction
//! mixed, and `finished_is_proved` checks that it is found.

use crate::world::{State, World};

pub const INVARIANT: &str = "no two branches of a run end differently";

pub fn check(world: &World) -> Result<(), String> {
    for run in super::runs(world) {
        if !super::has_committed(world, run) {
            continue;
        }
        let aborted = world.branches_of(run).find(|branch| world.state(*branch).is_aborted());
        if let Some(aborted) = aborted {
            return Err(format!("{aborted} is aborted, another is {:?}", State::Committed));
        }
    }
    Ok(())
}
