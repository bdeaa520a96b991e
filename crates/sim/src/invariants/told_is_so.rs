//! What callers are told is durable, is one thing for ever, and is so at the participants. With
//! Paxos commit it is durable when a majority of acceptors has chosen it; the coordinator's own
//! record of it may be lost.

use handfast_core::{
    pact::paxos::Value,
    plan::Kind,
    transaction::{Decision, Known},
};

use super::Seen;
use crate::world::{State, World};

pub const INVARIANT: &str = "what callers are told is so";

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    let (facts, told, known) = (seen.facts, seen.facts.told, seen.durable);
    if told == Default::default() {
        return Ok(());
    }
    let decision = known.and_then(|known| known.decision.as_ref());
    let is_paxos = !seen.wish.acceptors.is_empty();
    let chosen = |value| is_paxos && facts.chosen.iter().any(|(_, chosen)| *chosen == value);
    let wrong = if told.committed && told.aborted {
        "told both"
    } else if told.committed && decision != Some(&Decision::Commit) && !chosen(Value::Prepared) {
        "told committed, and no such decision is durable"
    } else if told.aborted && chosen(Value::Prepared) {
        "told aborted, and commit was chosen"
    } else if told.aborted && !is_paxos && !matches!(decision, Some(Decision::Abort(_))) {
        "told aborted, and no such decision is durable"
    } else if told.mixed && !known.is_some_and(Known::is_mixed) {
        "told mixed, and nothing durable says so"
    } else if told.aborted && seen.committed().next().is_some() {
        "told aborted, and a branch is committed"
    } else if told.applied && !known.is_some_and(|known| is_applied(world, known)) {
        "told applied, and a branch is not committed"
    } else {
        return Ok(());
    };
    Err(format!("t{}: {wrong}", seen.transaction))
}

fn is_applied(world: &World, known: &Known) -> bool {
    world.branches_of(known.run).zip(&known.branches).all(|(branch, told)| {
        match known.kind(branch.index) {
            Kind::Prepare if !told.vote.is_in_doubt() => true,
            Kind::Prepare => {
                matches!(world.state(branch), State::Committed | State::Meddled { committed: true })
            }
            Kind::Step | Kind::Deliver => world.state(branch) == State::Done,
        }
    })
}
