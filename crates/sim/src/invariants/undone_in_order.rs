//! Garcia-Molina and Salem 1987, section 2: compensations run in the reverse order of the steps.
//! Only where a service refuses what comes after its undo: elsewhere a late do comes back.

use handfast_core::plan::Kind;

use crate::world::{State, Touched, World};

pub const INVARIANT: &str = "a step is undone after all that come after it";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for run in super::runs(world, touched) {
        let wish = world.plan.wish(run);
        let states = world.states_of(run);
        let is_undone =
            |at: usize| wish.branches[at].kind == Kind::Step && states[at].1 == State::RolledBack;
        for ((branch, state), later) in states.iter().zip(&wish.branches) {
            let is_early = *state == State::Done
                && later.kind == Kind::Step
                && later.after.iter().any(|before| is_undone(usize::from(*before)));
            if is_early && world.plan.fences {
                return Err(format!("{branch} is done, and one before it is undone"));
            }
        }
    }
    Ok(())
}
