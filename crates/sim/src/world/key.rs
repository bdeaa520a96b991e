//! What of a node decides the future.
//!
//! Left out: positions, times and lengths of the log, which nothing reads; why a transaction was
//! aborted, which is only told; how often something was tried, which only makes waits longer (up to
//! [`pact::SILENT_MAX`], from where a shard takes its coordinator for dead).

use std::{collections::BTreeSet, sync::Arc};

use handfast_core::{
    id::RunId,
    pact, shard,
    transaction::{self, Decision, Reason},
    vote::{Cause, Refusal},
};

use super::{Coordinator, SHARD, STEP_TRIES_MAX, Search, ShardNode};

/// A node that coordinates.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct CoordinatorKey {
    pub(super) number: u8,
    pub(super) is_up: bool,
    pub(super) epoch: u32,
    pub(super) active: BTreeSet<RunId>,
    pub(super) timers: BTreeSet<(usize, transaction::Timer)>,
    pub(super) search: Search,
    pub(super) durable: Vec<(Arc<str>, transaction::Saved)>,
    pub(super) in_memory: Vec<(Arc<str>, transaction::Saved, transaction::Live)>,
}

/// A shard.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ShardKey {
    timers: BTreeSet<shard::Timer>,
    durable: Option<shard::Saved>,
    /// Absent if all is durable.
    saved: Option<shard::Saved>,
    /// Absent if it is down.
    live: Option<shard::Live>,
}

impl CoordinatorKey {
    pub(super) fn of(coordinator: &Coordinator) -> Self {
        let Coordinator { number, node, epoch, active, timers, search } = coordinator;
        let durable = node.all_durable().map(|(gid, saved)| (Arc::clone(gid), plain(saved)));
        let in_memory = node
            .in_memory()
            .map(|(gid, saved, live)| (Arc::clone(gid), plain(saved), plain_live(saved, live)));
        Self {
            number: *number,
            is_up: node.is_up(),
            epoch: *epoch,
            active: active.clone(),
            timers: timers.clone(),
            search: search.clone(),
            durable: durable.collect(),
            in_memory: in_memory.collect(),
        }
    }
}

impl ShardKey {
    pub(super) fn of(shard: &ShardNode) -> Self {
        let durable = shard.node.durable(SHARD).cloned();
        let saved = shard.node.saved(SHARD).filter(|saved| Some(*saved) != durable.as_ref());
        let live = shard.node.live(SHARD).cloned().map(|mut live| {
            for inquiry in live.inquiries.values_mut() {
                inquiry.tries = 0;
                inquiry.silent = inquiry.silent.min(pact::SILENT_MAX);
                if let Some(shard::Lead::Paxos(leader)) = &mut inquiry.lead {
                    leader.tries = 0;
                }
            }
            live
        });
        Self { timers: shard.timers.clone(), saved: saved.cloned(), durable, live }
    }
}

fn plain(saved: &transaction::Saved) -> transaction::Saved {
    let mut saved = saved.clone();
    let Some(known) = &mut saved.known else { return saved };
    if let Some(Decision::Abort(reason)) = &mut known.decision {
        *reason = no_reason();
    }
    // For those who look at it only.
    known.branches.iter_mut().for_each(|branch| branch.is_tried = false);
    saved
}

fn no_reason() -> Reason {
    let (code, message) = (String::new(), String::new());
    Reason { branch: None, refusal: Refusal { code, message, cause: Cause::Passing } }
}

fn plain_live(saved: &transaction::Saved, live: &transaction::Live) -> transaction::Live {
    let mut live = live.clone();
    // Only the patience with a service has an end.
    let has_services = saved.known.as_ref().is_some_and(|known| known.plan.is_some());
    let tries_max = if has_services { STEP_TRIES_MAX } else { 1 };
    for telling in &mut live.telling {
        telling.tries = telling.tries.min(tries_max);
        (telling.unsent, telling.spent_ms) = (0, 0);
        (telling.last_answer, telling.tried) = (None, None);
    }
    if let Some(transaction::Lead::Paxos { leader, reason, .. }) = &mut live.lead {
        leader.tries = 0;
        *reason = reason.is_some().then(no_reason);
    }
    live
}
