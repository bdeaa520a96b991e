//! X/Open 1991 (XA, section 2): the application says when to commit, and nobody else. A caller who
//! looks before it commits has the last word.

use handfast_core::transaction::Decision;

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "what is held commits only when asked";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    let Some(known) = seen.known.filter(|_| seen.wish.hold) else { return Ok(()) };
    if known.decision == Some(Decision::Commit) && !seen.facts.asked.contains(&known.run) {
        return Err(format!("t{} was committed and nobody asked for it", seen.transaction));
    }
    Ok(())
}
