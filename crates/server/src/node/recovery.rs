//! Recovery of branches that nobody finishes, at start and ever after.
//!
//! The log brings back what was decided. What was *not* decided is found at the participants: a
//! branch of ours that is prepared there, of a run that nobody votes on and nothing was decided
//! about, is rolled back: presumed abort.
//!
//! The order of observation is what makes that safe (after Citus' transaction recovery): first what
//! is prepared (P), then what is active (A) and decided (T), then what is prepared still (Q). Only
//! a branch in P and in Q is an orphan. With A before P, a branch prepared in between would look
//! like one; without Q, one that was finished in between would.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use handfast_core::{
    id::{BranchId, RunId},
    transaction::{Decision, Record},
    vote::{Ack, Proof},
};
use handfast_log::{ListQuery, Log};

use super::{Inner, Rejected, metrics::Call, resource::Resource};
use crate::driver::now_ms;

/// Between the searches right after the start: what the dead node had sent may still arrive at a
/// participant after the first one.
const SOON: [Duration; 4] = [Duration::from_millis(500); 4];
/// How often old transactions are pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Most transactions pruned between two turns.
const PRUNE_AT_ONCE: usize = 500;

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
    let own: Vec<BranchId> = prepared.own.into_iter().map(|(branch, _)| branch).collect();
    let suspects = own.into_iter().filter(|branch| inner.runs.gid(branch.run).is_none());
    // What a later start of this node has begun may be decided in a log that is not here.
    let (suspects, later): (Vec<_>, Vec<_>) =
        suspects.partition(|branch| branch.run.epoch <= inner.runs.epoch);
    if !later.is_empty() {
        let (resource, branches) = (&resource.name, later.len());
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
    let runs = suspects.iter().map(|branch| branch.run).collect();
    let Ok(decided) = decided(inner, runs).await else { return };
    let Ok(still) = resource.scan().await else { return };
    let orphans: Vec<_> =
        suspects.into_iter().filter(|one| still.own.iter().any(|(id, _)| id == one)).collect();
    let found = orphans.len();
    let calls = orphans.into_iter().map(|branch| {
        let told = decided.get(&branch.run).cloned();
        let (inner, resource) = (Arc::clone(inner), Arc::clone(resource));
        tokio::spawn(async move { finish(&inner, &resource, branch, told).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut finished = 0;
    for call in calls {
        finished += usize::from(call.await.unwrap_or(false));
    }
    if found > 0 {
        tracing::info!(resource = resource.name, found, finished, "orphaned branches");
        // The numbers shown are those before; look again.
        let _ = resource.scan().await;
    }
}

/// Finishes an orphan as was decided, or rolls it back. Whether that succeeded.
async fn finish(
    inner: &Inner,
    resource: &Resource,
    branch: BranchId,
    told: Option<(Decision, Vec<Proof>)>,
) -> bool {
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
    let mut found = None;
    let mark = format!("!{run}");
    // Twice: a transaction that finishes moves to the front while the pages are read. It does so
    // once, so the second reading finds what the first one missed.
    for _ in 0..2 {
        let mark = mark.clone();
        for line in decided_lines(inner, move |other| other == mark).await? {
            found = Some(line.name.into());
        }
    }
    Ok(found)
}

/// What the log says about `runs`: decisions of finished transactions too, for as long as they are
/// kept, so that a branch that a restored backup brings back is not rolled back against them.
async fn decided(
    inner: &Inner,
    runs: Vec<RunId>,
) -> Result<BTreeMap<RunId, (Decision, Vec<Proof>)>, Rejected> {
    let marks: std::collections::BTreeSet<String> =
        runs.iter().map(|run| format!("!{run}")).collect();
    let mut decided = BTreeMap::new();
    for line in decided_lines(inner, move |mark| marks.contains(mark)).await? {
        let name = line.name;
        let entries = inner.read(move |reader| reader.stream(&name)).await?;
        let mut case = None;
        let before = decided.len();
        for entry in &entries {
            // What cannot be read may be a decision to commit: then nothing is an orphan.
            let record = serde_json::from_str(&entry.body).map_err(|_| Rejected::Stopping)?;
            match record {
                Record::Delegated(begun)
                | Record::Begun { case: begun, .. }
                | Record::PreCommitted { case: begun, .. } => case = Some(begun),
                Record::Decided { decision, case: own } => {
                    if let Some(case) = own.or(case.take()) {
                        let proofs = case.branches.into_iter().map(|branch| branch.proof);
                        decided.insert(case.run, (decision, proofs.collect()));
                    }
                }
                _ => {}
            }
        }
        if decided.len() == before {
            // Pruned in between, or still open: the next search sees clearly.
            return Err(Rejected::Busy);
        }
    }
    Ok(decided)
}

/// Every recorded transaction whose run's mark is `wanted`. Reads the whole index of streams: it is
/// called only when there is an orphan.
async fn decided_lines(
    inner: &Inner,
    wanted: impl Fn(&str) -> bool + Send + 'static,
) -> Result<Vec<handfast_log::Line>, Rejected> {
    let read = inner.read(move |reader| {
        let mut lines = Vec::new();
        let mut query = ListQuery { limit: 10_000, ..ListQuery::default() };
        loop {
            let page = reader.list(&query)?;
            let mark = |line: &handfast_log::Line| {
                wanted(line.label.split(' ').next().unwrap_or_default())
            };
            lines.extend(page.lines.into_iter().filter(mark));
            if page.next.is_none() {
                return Ok(lines);
            }
            query.before = page.next;
        }
    });
    read.await
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
