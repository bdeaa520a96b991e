//! BHG: the first half of AC3. Abort only if somebody voted no, or something failed: else a
//! coordinator that always aborts would be a right one. Silence for too long counts as a failure,
//! and so does what a peer says that has seen one; a caller may change its mind. Looked at where it
//! happens, by what the node was told just then: see `world::driver`.

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "an abort has a cause";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    match seen.facts.aborted_amiss {
        true => Err(format!("t{} was aborted, and nothing spoke for it", seen.transaction)),
        false => Ok(()),
    }
}
