//! Exponential back-off, which spares a server that is overloaded or restarts (Metcalfe and Boggs
//! 1976, section 4.2; RFC 9110, 10.2.3, on `Retry-After`): what becomes of other branches does not
//! shorten it. Only a timer does, which the world may let fire at any time as a node does when a
//! resource answers again; a decision, from which on it is something else that is called for; and a
//! restart. By what the node's driver has armed.

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "no branch is called again before its wait is over";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    match seen.facts.called_early {
        Some(branch) => Err(format!("t{} #{branch} waits, and is called", seen.transaction)),
        None => Ok(()),
    }
}
