//! R*, section 2: the commit record is forced before anyone is told. So a commit is under way, or
//! done, only if a crash would leave its record.

use handfast_core::{id::RunId, transaction::Decision};

use super::Seen;
use crate::world::{Call, Message, State, World, transaction};

pub const INVARIANT: &str = "a commit leaves only after its record is durable";

pub fn check_message(world: &World, message: &Message) -> Result<(), String> {
    let is_amiss = match *message {
        // A commit in one phase decides; one that comes late finds that it was decided.
        Message::Call(branch, Call::Commit { one_phase: true }) => !is_recorded(world, branch.run),
        Message::Call(
            branch,
            Call::Commit { one_phase: false } | Call::Orphan { committed: true },
        ) => !may_commit(world, branch.run),
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

fn may_commit(world: &World, run: RunId) -> bool {
    // With a pact the members may know it before the coordinator does.
    world.plan.wish(run).decide.is_some()
        || world.durably_known(transaction(run)).is_some_and(|known| {
            let commits = matches!(known.decision, Some(Decision::Commit) | None);
            known.run == run && commits
        })
}
