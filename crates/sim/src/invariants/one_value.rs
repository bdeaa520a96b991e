//! GL, section 4: one value is chosen for each instance, and at most one is proposed in each ballot
//! (Phase2a of the module PaxosCommit). A commit, and what callers are told, rests on the choice.

use handfast_core::pact::{Way, paxos::Value};

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "one value is chosen, and one proposed in each ballot";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    let Seen { wish, facts, .. } = seen;
    if wish.decide != Some(Way::Paxos) || wish.acceptors.is_empty() {
        return Ok(());
    }
    // Both sets are ordered by run and ballot: what contradicts stands side by side.
    for ((run, one), (other_run, other)) in facts.proposed.iter().zip(facts.proposed.iter().skip(1))
    {
        if run == other_run && one.ballot == other.ballot {
            return Err(format!("{run}: proposed {one} and {other}"));
        }
    }
    for ((run, _), (other, _)) in facts.chosen.iter().zip(facts.chosen.iter().skip(1)) {
        if run == other {
            return Err(format!("{run}: both values were chosen"));
        }
    }
    for (run, _) in seen.committed() {
        if !facts.chosen.contains(&(run, Value::Prepared)) {
            return Err(format!("a branch of {run} committed, and that was not chosen"));
        }
    }
    Ok(())
}
