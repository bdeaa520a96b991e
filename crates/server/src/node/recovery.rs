//! Recovery of branches that nobody finishes, at start and ever after.
//!
//! The log brings back what was decided. What was *not* decided is found at the participants: a
//! branch of ours that is prepared there, of a run that nobody votes on and nothing was decided
//! about, is rolled back: presumed abort.
//!
//! What is an orphan, and in which order that is found out, is core's ([`handfast_core::orphans`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, future::ready, stream};
use handfast_core::{
    id::{BranchId, RunId},
    orphans::Listed,
    transaction::{Decision, Known, Record},
    vote::{Ack, Proof},
};
use handfast_log::{Entry, Log, LogError};

use super::{Inner, Rejected, metrics::Call, resource::Resource};
use crate::driver::now_ms;

/// Between the searches right after the start: what the dead node had sent may still arrive at a
/// participant after the first one.
const SOON: [Duration; 4] = [Duration::from_millis(500); 4];
/// How often old transactions are pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Most transactions pruned between two turns.
const PRUNE_AT_ONCE: usize = 500;

/// Most orphans of a resource that are finished at once.
const FINISHED_AT_ONCE: usize = 64;

/// A decision, and by branch what it handed over when it voted.
type Told = (Decision, Vec<Proof>);

/// Searches all resources now and then every `interval`, each on its own; prunes in between.
pub(super) fn begin(inner: &Arc<Inner>, interval: Duration, retention: Duration) {
    let rounds: Vec<_> = inner.resources.values().cloned().collect();
    let first = Arc::clone(inner);
    tokio::spawn(async move {
        let tasks: Vec<_> = rounds
            .into_iter()
            .map(|resource| {
                let inner = Arc::clone(&first);
                tokio::spawn(async move {
                    search(&inner, &resource).await;
                    (inner, resource)
                })
            })
            .collect();
        for task in tasks {
            if let Ok((inner, resource)) = task.await {
                tokio::spawn(async move {
                    let mut waits = SOON.into_iter();
                    while !inner.stopping.load(Ordering::Acquire) {
                        let wait = waits.next().unwrap_or(interval);
                        tokio::time::sleep(wait.min(interval)).await;
                        search(&inner, &resource).await;
                    }
                });
            }
        }
        first.ready.store(true, Ordering::Release);
    });
    let inner = Arc::clone(inner);
    tokio::spawn(async move {
        while !inner.stopping.load(Ordering::Acquire) {
            tokio::time::sleep(PRUNE_EVERY).await;
            prune(&inner, retention).await;
        }
    });
}

/// One search of one resource.
pub(super) async fn search(inner: &Arc<Inner>, resource: &Arc<Resource>) {
    let Ok(prepared) = resource.scan().await else {
        return resource.suspect(inner);
    };
    let listed = Listed::new(prepared.own.into_iter().map(|(branch, _)| {
        let run = branch.run;
        (branch, run)
    }));
    let suspects = listed.suspects(inner.runs.epoch, |run| inner.runs.gid(run).is_some());
    if suspects.later() > 0 {
        let (resource, branches) = (&resource.name, suspects.later());
        tracing::error!(
            resource,
            branches,
            "branches of later starts of this node are prepared there and left alone: was the \
             data directory restored from an old copy?"
        );
    }
    if suspects.is_empty() {
        return;
    }
    let Ok(decided) = decided(inner, suspects.runs()).await else { return };
    let judged = suspects.judge(&decided);
    let Ok(still) = resource.scan().await else { return };
    let orphans = judged.orphans(&still.own.into_iter().map(|(branch, _)| branch).collect());
    let found = orphans.len();
    let ends = stream::iter(orphans).map(|(branch, told)| {
        let (inner, resource) = (Arc::clone(inner), Arc::clone(resource));
        tokio::spawn(async move { finish(&inner, &resource, branch, told).await })
    });
    let ends = ends.buffer_unordered(FINISHED_AT_ONCE);
    let finished = ends.filter(|end| ready(matches!(end, Ok(true)))).count().await;
    if found > 0 {
        tracing::info!(resource = resource.name, found, finished, "orphaned branches");
        // The numbers shown are those before; look again.
        let _ = resource.scan().await;
    }
}

/// Finishes an orphan as was decided, or rolls it back. Whether that succeeded.
async fn finish(inner: &Inner, resource: &Resource, branch: BranchId, told: Option<Told>) -> bool {
    let ack = match &told {
        Some((Decision::Commit, proofs)) => {
            let _call = resource.calling(Call::Commit);
            let proof = proofs.get(usize::from(branch.index)).cloned().unwrap_or_default();
            tracing::warn!(%branch, "prepared again after its commit: was the server restored?");
            resource.participant.commit(branch.clone(), proof).await
        }
        Some((Decision::Abort(_), _)) | None => {
            let _call = resource.calling(Call::Abort);
            resource.participant.abort(branch.clone(), Proof::default()).await
        }
    };
    if told.is_none() {
        inner.metrics.orphan();
    }
    if ack != Ack::Finished {
        tracing::warn!(%branch, answer = %ack, "an orphaned branch is not finished yet");
    }
    ack == Ack::Finished
}

/// The gid of a run that is open, or that the log remembers.
pub(super) async fn gid_of(inner: &Inner, run: RunId) -> Result<Option<Arc<str>>, Rejected> {
    if let Some(gid) = inner.runs.gid(run) {
        return Ok(Some(gid));
    }
    // Never begun: no need to search.
    if run.epoch > inner.runs.epoch {
        return Ok(None);
    }
    let found = inner.read(move |reader| reader.marked(&Known::mark(run))).await?;
    Ok(found.map(Into::into))
}

/// What the log says about `runs`: decisions of finished transactions too, for as long as they are
/// kept, so that a branch that a restored backup brings back is not rolled back against them. None
/// where it says something that cannot be read, or is no decision: pruned in between, or still
/// open. The next search may see clearly.
async fn decided(
    inner: &Inner,
    runs: BTreeSet<RunId>,
) -> Result<BTreeMap<RunId, Option<Told>>, Rejected> {
    let recorded = inner.read(move |reader| {
        let mut recorded = BTreeMap::new();
        for run in runs {
            if let Some(name) = reader.marked(&Known::mark(run))? {
                recorded.insert(run, reader.stream(&name));
            }
        }
        Ok(recorded)
    });
    let told = |run, entries: Result<Vec<Entry>, LogError>| {
        let told = entries.ok().and_then(|entries| decision(run, &entries));
        if told.is_none() {
            tracing::warn!(%run, "its branches are left alone: the log tells no decision");
        }
        told
    };
    let recorded = recorded.await?.into_iter();
    Ok(recorded.map(|(run, entries)| (run, told(run, entries))).collect())
}

/// The decision over a run, and what its branches handed over.
fn decision(run: RunId, entries: &[Entry]) -> Option<Told> {
    let mut case = None;
    for entry in entries {
        match serde_json::from_str(&entry.body).ok()? {
            Record::Delegated(begun)
            | Record::Begun { case: begun, .. }
            | Record::PreCommitted { case: begun, .. } => case = Some(begun),
            Record::Decided { decision, case: own } => {
                let case = own.or(case).filter(|case| case.run == run)?;
                let proofs = case.branches.into_iter().map(|branch| branch.proof);
                return Some((decision, proofs.collect()));
            }
            _ => {}
        }
    }
    None
}

async fn prune(inner: &Inner, retention: Duration) {
    let retention_ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
    let cutoff_ms = now_ms().saturating_sub(retention_ms);
    loop {
        let pruned = inner.ask(move |partition| partition.log().prune(cutoff_ms, PRUNE_AT_ONCE));
        match pruned.await {
            Ok(Ok(pruned)) if pruned == PRUNE_AT_ONCE => {}
            Ok(Err(error)) => return tracing::error!(%error, "old transactions were not pruned"),
            Ok(Ok(_)) | Err(_) => return,
        }
    }
}
