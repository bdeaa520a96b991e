//! A caller who looks before it commits has the last word.

use handfast_core::transaction::Decision;

use crate::world::{Touched, World};

pub const INVARIANT: &str = "what is held commits only when asked";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for (transaction, facts) in touched.facts(world) {
        if !world.plan.transactions[transaction].hold {
            continue;
        }
        let Some(known) = world.known(transaction) else { continue };
        if known.decision == Some(Decision::Commit) && !facts.asked.contains(&known.run) {
            return Err(format!("t{transaction} was committed and nobody asked for it"));
        }
    }
    Ok(())
}
