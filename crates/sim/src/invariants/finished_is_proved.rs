//! R*, section 2: a coordinator forgets only when every branch has acknowledged. A branch that
//! ended otherwise than decided must have been found.

use handfast_core::{
    plan::Kind,
    transaction::{Decision, Known},
};

use super::Seen;
use crate::world::{Branch, Searches, State, World};

pub const INVARIANT: &str = "finished only when every branch is proved finished";

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    let Some(known) = seen.known.filter(|known| known.finished) else { return Ok(()) };
    for (branch, told) in world.branches_of(known.run).zip(&known.branches) {
        let is_over = match known.kind(branch.index) {
            Kind::Prepare => !told.vote.is_in_doubt() || is_proved(world, known, branch),
            Kind::Step | Kind::Deliver => is_as_decided(world, known, branch),
        };
        if !is_over {
            let state = world.state(branch);
            return Err(format!("{branch} is {state:?} and its transaction finished"));
        }
    }
    Ok(())
}

/// Steps are done and deliveries have arrived if it is committed, and else are not; unless an
/// operator has said otherwise.
fn is_as_decided(world: &World, known: &Known, branch: Branch) -> bool {
    let committed = known.decision == Some(Decision::Commit);
    let may_return = !world.plan.fences;
    match world.state(branch) {
        State::Done => committed || known.is_mixed() || may_return,
        _ => !committed || known.is_mixed(),
    }
}

fn is_proved(world: &World, known: &Known, branch: Branch) -> bool {
    let committed = known.decision == Some(Decision::Commit);
    match world.state(branch) {
        // Rolled back as told; what a crash or a late prepare brings back is for the search, or for
        // the database, which sees that the other side is gone.
        State::Fresh | State::Held | State::Prepared => {
            let may_return = world.plan.budget.revivals > 0 || !world.plan.fences;
            !committed && may_return && world.plan.searches != Searches::Never
        }
        State::ReadOnly | State::Done => true,
        State::Committed | State::Meddled { committed: true } => committed || known.is_mixed(),
        State::Aborted | State::RolledBack | State::Meddled { committed: false } => {
            !committed || known.is_mixed()
        }
    }
}
