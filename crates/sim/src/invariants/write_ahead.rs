//! R*, section 2: the commit record is forced before anyone is told. So a commit is under way, or
//! done, only if a crash would leave its record.
//!
//! Three-phase commit (BHG, section 7.5; Skeen 1981): the same of the round before it. The
//! coordinator's `PreCommitted` is durable before any member may be precommitted, so before any
//! commit, whoever leads to it; a member's is before it says so; and a decision to commit is before
//! its leader tells it.
//!
//! Paxos commit keeps its decision elsewhere, see `one_value`.

use handfast_core::{
    id::RunId,
    pact::{self, Pact, Way, Word},
    shard::End,
    transaction::Decision,
};

use super::Seen;
use crate::world::{Call, Message, Place, SHARD, State, World, transaction};

pub const INVARIANT: &str = "a commit leaves only after its record is durable";

pub fn check_message(world: &World, message: &Message) -> Result<(), String> {
    let is_amiss = match message {
        // A commit in one phase decides; one that comes late finds that it was decided.
        Message::Call(branch, Call::Commit { one_phase: true }) => !is_recorded(world, branch.run),
        Message::Call(
            branch,
            Call::Commit { one_phase: false } | Call::Orphan { committed: true },
        ) => !may_commit(world, branch.run),
        Message::Peer(from, _, message) if message.pact.way == Way::ThreePhase => {
            !may_say(world, *from, message)
        }
        _ => false,
    };
    if is_amiss {
        return Err(format!("{message} is under way, and no record of it is durable"));
    }
    Ok(())
}

pub fn check(world: &World, seen: &Seen) -> Result<(), String> {
    for (run, states) in seen.committed() {
        let committed = states.iter().find(|(_, state)| *state == State::Committed);
        if let Some((branch, _)) = committed
            && !may_commit(world, run)
        {
            return Err(format!("{branch} is committed, and no record of it is durable"));
        }
    }
    Ok(())
}

fn is_recorded(world: &World, run: RunId) -> bool {
    world.durably_known(transaction(run)).is_some_and(|known| known.run == run)
}

/// Whether it is durable that it is committed; or that it is left to others, which with three-phase
/// commit is recorded when all have voted yes.
fn may_commit(world: &World, run: RunId) -> bool {
    world.plan.wish(run).decide == Some(Way::Paxos)
        || world.durably_known(transaction(run)).is_some_and(|known| {
            let commits = matches!(known.decision, Some(Decision::Commit) | None);
            known.run == run && commits
        })
}

/// Three-phase commit. Orders may come late, after the members have aborted without who gave them.
fn may_say(world: &World, from: Place, pact::Message { pact, word }: &pact::Message) -> bool {
    match word {
        Word::PreCommit { .. } => is_recorded(world, pact.run),
        Word::PreCommitted { .. } => is_committable(world, from, pact),
        Word::Decided { commit: true, .. } => has_committed(world, from, pact),
        _ => true,
    }
}

/// Whether a crash would leave a member precommitted, or ended.
fn is_committable(world: &World, at: Place, pact: &Pact) -> bool {
    let Place::Shard(number) = at else { return false };
    let Some(saved) = world.shard(number).node.durable(SHARD) else { return false };
    pact.indices().map(|index| pact.branch(index)).any(|branch| {
        let prepared = saved.prepared.get(&branch);
        prepared.is_some_and(|of| of.precommitted) || saved.finished.end(&branch).is_some()
    })
}

fn has_committed(world: &World, at: Place, pact: &Pact) -> bool {
    let Place::Shard(number) = at else {
        let known = world.durably_known(transaction(pact.run));
        let known = known.filter(|known| known.run == pact.run);
        return known.is_some_and(|known| known.decision == Some(Decision::Commit));
    };
    let Some(saved) = world.shard(number).node.durable(SHARD) else { return false };
    let mut branches = pact.indices().map(|index| pact.branch(index));
    branches.any(|branch| saved.finished.end(&branch) == Some(End::Committed))
}
