//! The one race of presumed abort: a participant that was answered "abort" may act on it. R* does
//! not say what an inquiry is answered while votes are awaited; this is why it matters.

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "no commit after an inquiry was answered abort";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    for run in &seen.facts.abort_answered {
        if seen.commits(*run) || seen.committed().any(|(other, _)| other == *run) {
            return Err(format!("about {run} an inquiry was answered abort, and it commits"));
        }
    }
    Ok(())
}
