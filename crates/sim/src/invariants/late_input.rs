//! The rules of driving: an input about what is over, or was lost in a crash, is legal, and nothing
//! follows from it.

use handfast_core::{
    shard::{self, Inquired},
    transaction::{Input, Timer},
    vote::{Ack, Proof, Vote},
};

use crate::world::{Branch, Coordinator, Plan, SHARD, ShardNode, transaction};

pub const INVARIANT: &str = "late input changes nothing";

pub fn check_coordinator(plan: &Plan, coordinator: &Coordinator) -> Result<(), String> {
    if !coordinator.node.is_up() {
        return Ok(());
    }
    // Nothing may change, so one copy serves for all inputs.
    let mut node = coordinator.node.clone();
    for (stream, _) in coordinator.node.all_durable() {
        let saved = coordinator.node.saved(stream);
        let Some(known) = saved.and_then(|saved| saved.known.as_ref()) else { continue };
        // The decided run is not voted on any more, and when all is told it is not told either.
        if plan.transactions[transaction(known.run)].decide.is_some() {
            continue;
        }
        let (run, mut inputs) = (known.run, Vec::new());
        for vote in [Vote::Yes(Proof::default()), Vote::ReadOnly] {
            inputs.push(Input::Voted { run, branch: 0, vote });
        }
        inputs.push(Input::Fired(Timer::Votes(run)));
        if known.finished {
            for ack in [Ack::Finished, Ack::Broken(String::new())] {
                inputs.push(Input::Acked { run, branch: 0, ack });
            }
            inputs.push(Input::Fired(Timer::Retry(run, 0)));
        }
        for input in inputs {
            let given = input.clone();
            let effects = node.turn(stream, input, false, None);
            let is_same = node.saved(stream) == saved
                && node.live(stream).unwrap_or(&Default::default())
                    == coordinator.node.live(stream).unwrap_or(&Default::default());
            if !effects.is_empty() || !is_same {
                return Err(format!("{given} changes {stream}, or makes it say {effects:?}"));
            }
        }
    }
    Ok(())
}

pub fn check_shard(_: &Plan, _: u8, shard: &ShardNode) -> Result<(), String> {
    let (Some(saved), Some(live)) = (shard.node.saved(SHARD), shard.node.live(SHARD)) else {
        return Ok(());
    };
    let mut node = shard.node.clone();
    let stream = SHARD.into();
    let all = saved.prepared.keys().chain(live.waiting.keys());
    for id in all.filter(|id| !live.inquiries.contains_key(*id)) {
        let inputs = [
            shard::Input::Answered { branch: id.clone(), answer: Inquired::Abort },
            shard::Input::Fired(shard::Timer::Inquire(id.clone())),
        ];
        for input in inputs {
            let effects = node.turn(&stream, input, false, None);
            let is_same = node.saved(SHARD) == Some(saved) && node.live(SHARD) == Some(live);
            if !effects.is_empty() || !is_same {
                return Err(format!("an answer nobody asked for changes {}", Branch::of(id)));
            }
        }
    }
    Ok(())
}
