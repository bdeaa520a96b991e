//! The one race of presumed abort: a participant that was answered "abort" may act on it. R* does
//! not say what an inquiry is answered while votes are awaited; this is why it matters.

use handfast_core::transaction::Decision;

use crate::world::{Touched, World};

pub const INVARIANT: &str = "no commit after an inquiry was answered abort";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for (transaction, facts) in touched.facts(world) {
        for run in &facts.abort_answered {
            let known = world.known(transaction).filter(|known| known.run == *run);
            let decided = known.is_some_and(|k| k.decision == Some(Decision::Commit));
            if decided || super::has_committed(world, *run) {
                return Err(format!("about {run} an inquiry was answered abort, and it commits"));
            }
        }
    }
    Ok(())
}
