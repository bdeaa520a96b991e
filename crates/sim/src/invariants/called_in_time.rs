//! Garcia-Molina and Salem 1987, section 2: a step runs before the decision, its compensation after
//! an abort and not beside the step; what cannot be undone leaves after the commit. By what the
//! node knows that calls.

use crate::world::{Touched, World};

pub const INVARIANT: &str = "services are called when it is their time";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for (transaction, facts) in touched.facts(world) {
        if let Some((branch, why)) = facts.called_amiss {
            return Err(format!("t{transaction} #{branch} is {why}"));
        }
    }
    Ok(())
}
