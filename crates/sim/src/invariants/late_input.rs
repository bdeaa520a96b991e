//! The rules of driving (`handfast_core::machine`): an input about what is over, or was lost in a
//! crash, is legal, and nothing follows from it. In GL's modules messages are never taken off the
//! network, so that each may be read again at any time.

use handfast_core::{
    machine::{Machine, Output},
    shard::{self, Inquired},
    transaction::{Input, Timer},
    vote::{Ack, Proof, Reply, Vote},
};

use crate::{
    machines::{Shard, Transaction},
    world::{Branch, Coordinator, Plan, SHARD, ShardNode, transaction},
};

pub const INVARIANT: &str = "late input changes nothing";

pub fn check_coordinator(plan: &Plan, coordinator: &Coordinator) -> Result<(), String> {
    if !coordinator.node.is_up() {
        return Ok(());
    }
    for (stream, _) in coordinator.node.all_durable() {
        let Some(saved) = coordinator.node.saved(stream) else { continue };
        let Some(known) = &saved.known else { continue };
        // The decided run is not voted on any more, and when all is told it is not told either.
        if plan.transactions[transaction(known.run)].decide.is_some() {
            continue;
        }
        if known.plan.is_some() && known.decision.is_none() {
            continue;
        }
        let (run, mut inputs) = (known.run, Vec::new());
        let live = coordinator.node.live(stream);
        let telling = live.and_then(|live| live.telling.first());
        if live.is_some() && !telling.is_some_and(|telling| telling.is_doing) {
            for reply in [Reply::Done(Proof::default()), Reply::Unknown(String::new())] {
                inputs.push(Input::Answered { run, branch: 0, reply, took_ms: 0 });
            }
        }
        for vote in [Vote::Yes(Proof::default()), Vote::ReadOnly] {
            inputs.push(Input::Voted { run, branch: 0, vote, tried: None });
        }
        inputs.push(Input::Fired(Timer::Votes(run)));
        if known.finished {
            for ack in [Ack::Finished, Ack::Broken(String::new())] {
                inputs.push(Input::Acked { run, branch: 0, ack, took_ms: 0 });
            }
            inputs.push(Input::Fired(Timer::Retry(run, 0)));
        }
        let live = coordinator.node.live(stream);
        change_nothing::<Transaction>(saved, live, inputs)
            .map_err(|why| format!("{stream}: {why}"))?;
    }
    Ok(())
}

pub fn check_shard(_: &Plan, _: u8, shard: &ShardNode) -> Result<(), String> {
    let (Some(saved), Some(live)) = (shard.node.saved(SHARD), shard.node.live(SHARD)) else {
        return Ok(());
    };
    let all = saved.prepared.keys().chain(live.waiting.keys());
    for id in all.filter(|id| !live.inquiries.contains_key(*id)) {
        let inputs = vec![
            shard::Input::Answered { branch: id.clone(), answer: Inquired::Abort },
            shard::Input::Fired(shard::Timer::Inquire(id.clone())),
        ];
        change_nothing::<Shard>(saved, Some(live), inputs).map_err(|why| {
            format!("an answer about {} that nobody asked for: {why}", Branch::of(id))
        })?;
    }
    Ok(())
}

/// Steps the machine itself: what it saves changes only by what it records. One that is not in
/// memory is started first, as the partition does that reads it back.
fn change_nothing<M: Machine>(
    saved: &M::Saved,
    live: Option<&M::Live>,
    inputs: Vec<M::Input>,
) -> Result<(), String> {
    let mut now = live.cloned().unwrap_or_default();
    let mut out = Output::<M>::new();
    if live.is_none() {
        M::restart(saved, &mut now, &mut out);
    }
    let before = now.clone();
    for input in inputs {
        M::step(saved, &mut now, input.clone(), &mut out);
        let (records, effects, _) = std::mem::take(&mut out).into_parts();
        if !records.is_empty() || !effects.is_empty() || now != before {
            return Err(format!("{input:?} changes it, or makes it say {records:?} {effects:?}"));
        }
    }
    Ok(())
}
