//! Garcia-Molina and Salem 1987, section 2: a step runs before the decision, its compensation after
//! an abort and not beside the step; what cannot be undone leaves after the commit. By what the
//! node knows that calls.

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "services are called when it is their time";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    match seen.facts.called_amiss {
        Some((branch, why)) => Err(format!("t{} #{branch} is {why}", seen.transaction)),
        None => Ok(()),
    }
}
