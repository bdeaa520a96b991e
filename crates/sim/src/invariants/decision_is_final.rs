//! BHG: AC4. What was durable once is what every later look at the log finds.

use handfast_core::transaction::Decision;

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "a decision is final";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    let Some((run, commit)) = seen.facts.decided else { return Ok(()) };
    let now = seen.known;
    let decided =
        now.and_then(|known| Some((known.run, *known.decision.as_ref()? == Decision::Commit)));
    if decided != Some((run, commit)) {
        let transaction = seen.transaction;
        return Err(format!("t{transaction} was decided {run} {commit}, now {decided:?}"));
    }
    Ok(())
}
