//! BHG: AC4. What was durable once is what every later look at the log finds.

use handfast_core::transaction::Decision;

use crate::world::{Touched, World};

pub const INVARIANT: &str = "a decision is final";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for (transaction, facts) in touched.facts(world) {
        let Some((run, commit)) = facts.decided else { continue };
        let now = world.known(transaction);
        let decided =
            now.and_then(|known| Some((known.run, *known.decision.as_ref()? == Decision::Commit)));
        if decided != Some((run, commit)) {
            return Err(format!("t{transaction} was decided {run} {commit}, now {decided:?}"));
        }
    }
    Ok(())
}
