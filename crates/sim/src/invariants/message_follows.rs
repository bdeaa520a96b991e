//! A two-phase message, after the transactional messages of RocketMQ (half message and check back)
//! and DTM: it leaves if its caller's local transaction commits, and only then.

use handfast_core::transaction::Decision;

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "a message leaves if and only if its caller has committed";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    let Seen { transaction, wish, facts, .. } = seen;
    let known = seen.durable.filter(|_| wish.asks && wish.aborts == 0);
    match known.and_then(|known| known.decision.as_ref()) {
        Some(Decision::Commit) if facts.local != Some(true) => {
            Err(format!("t{transaction} is committed here, and not at its caller's"))
        }
        Some(Decision::Abort(_)) if facts.local == Some(true) => {
            Err(format!("t{transaction} is aborted here, and not at its caller's"))
        }
        _ => Ok(()),
    }
}
