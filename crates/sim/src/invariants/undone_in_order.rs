//! Garcia-Molina and Salem 1987, section 2: compensations run in the reverse order of the steps.
//! Only where a service refuses what comes after its undo: elsewhere a late do comes back.

use handfast_core::plan::Kind;

use super::Seen;
use crate::world::{State, World};

pub const INVARIANT: &str = "a step is undone after all that come after it";

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    if !world.plan.fences {
        return Ok(());
    }
    let wishes = &seen.wish.branches;
    for (_, states) in seen.runs() {
        let is_undone =
            |at: usize| wishes[at].kind == Kind::Step && states[at].1 == State::RolledBack;
        for ((branch, state), later) in states.iter().zip(wishes) {
            let is_early = *state == State::Done
                && later.kind == Kind::Step
                && later.after.iter().any(|before| is_undone(usize::from(*before)));
            if is_early {
                return Err(format!("{branch} is done, and one before it is undone"));
            }
        }
    }
    Ok(())
}
