//! R*, section 2: a coordinator forgets only when every branch has acknowledged. A branch that
//! ended otherwise than decided must have been found.

use handfast_core::transaction::{Decision, Known};

use crate::world::{Branch, Searches, State, Touched, World};

pub const INVARIANT: &str = "finished only when every branch is proved finished";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for transaction in touched.transactions(world) {
        let Some(known) = world.known(transaction).filter(|known| known.finished) else { continue };
        for (branch, told) in world.branches_of(known.run).zip(&known.branches) {
            if told.vote.is_in_doubt() && !is_proved(world, known, branch) {
                let state = world.state(branch);
                return Err(format!("{branch} is {state:?} and its transaction finished"));
            }
        }
    }
    Ok(())
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
        State::ReadOnly => true,
        State::Committed | State::Meddled { committed: true } => committed || known.is_mixed(),
        State::Aborted | State::RolledBack | State::Meddled { committed: false } => {
            !committed || known.is_mixed()
        }
    }
}
