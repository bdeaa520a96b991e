//! What callers are told is durable, is one thing for ever, and is so at the participants. With
//! Paxos commit it is durable when a majority of acceptors has chosen it; the coordinator's own
//! record of it may be lost.

use handfast_core::{
    pact::paxos::Value,
    plan::Kind,
    transaction::{Decision, Known},
};

use crate::world::{State, Touched, World};

pub const INVARIANT: &str = "what callers are told is so";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for (transaction, facts) in touched.facts(world) {
        let told = facts.told;
        if told == Default::default() {
            continue;
        }
        let known = world.durably_known(transaction);
        let decision = known.and_then(|known| known.decision.as_ref());
        let is_paxos = !world.plan.transactions[transaction].acceptors.is_empty();
        let chosen = |value| is_paxos && facts.chosen.iter().any(|(_, chosen)| *chosen == value);
        let wrong = if told.committed && told.aborted {
            "told both"
        } else if told.committed && decision != Some(&Decision::Commit) && !chosen(Value::Prepared)
        {
            "told committed, and no such decision is durable"
        } else if told.aborted && chosen(Value::Prepared) {
            "told aborted, and commit was chosen"
        } else if told.aborted && !is_paxos && !matches!(decision, Some(Decision::Abort(_))) {
            "told aborted, and no such decision is durable"
        } else if told.mixed && !known.is_some_and(Known::is_mixed) {
            "told mixed, and nothing durable says so"
        } else if told.aborted && facts.runs.iter().any(|run| super::has_committed(world, *run)) {
            "told aborted, and a branch is committed"
        } else if told.applied && !known.is_some_and(|known| is_applied(world, known)) {
            "told applied, and a branch is not committed"
        } else {
            continue;
        };
        return Err(format!("t{transaction}: {wrong}"));
    }
    Ok(())
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
