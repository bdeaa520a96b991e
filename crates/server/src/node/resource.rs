//! A resource as this node sees it: calls running, health, what was last found prepared there.
//!
//! The circuit breaker: any answer that smells of an unreachable server starts a probe; if the
//! probe fails the resource is down, new branches are refused at once and decisions wait, until a
//! probe succeeds. So one dead database delays only its own transactions, and costs no timeouts.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use handfast_client::wire;
use handfast_core::transaction::{Input, Timer};
use handfast_participants::{InDoubt, Participant, Unreachable};

use prometheus_client::metrics::histogram::Histogram;

use super::{
    Inner,
    metrics::{Call, Metrics},
    recovery,
};
use crate::driver::now_ms;

/// Most time for one probe or scan.
const PROBE_WITHIN: Duration = Duration::from_secs(5);
/// Between two probes of a resource that is down.
const PROBE_EVERY: Duration = Duration::from_millis(250);

pub(super) struct Resource {
    pub(super) name: String,
    pub(super) participant: Arc<dyn Participant>,
    calls: AtomicU64,
    times: Times,
    probing: AtomicBool,
    seen: Mutex<Seen>,
}

/// What was last seen.
#[derive(Default)]
struct Seen {
    scanned_at_ms: Option<u64>,
    is_down: bool,
    last_fault: Option<String>,
    prepared: u64,
    foreign: u64,
    oldest_ms: Option<u64>,
    peer: Option<String>,
}

/// Whether a resource finishes transactions with its peers.
pub(super) enum Speaks {
    /// It does.
    Yes,
    /// It does not, and why.
    No(String),
    /// It has not answered since the node started.
    NotKnown {
        /// It was asked.
        is_down: bool,
    },
}

/// A call that runs.
pub(super) struct Calling<'a> {
    calls: &'a AtomicU64,
    took: &'a Histogram,
    since: Instant,
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.took.observe(self.since.elapsed().as_secs_f64());
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long calls took, by what was asked.
struct Times {
    prepare: Histogram,
    hold: Histogram,
    commit: Histogram,
    abort: Histogram,
}

impl Resource {
    pub(super) fn new(name: String, participant: Arc<dyn Participant>, metrics: &Metrics) -> Self {
        let times = Times {
            prepare: metrics.calls(&name, Call::Prepare),
            hold: metrics.calls(&name, Call::Hold),
            commit: metrics.calls(&name, Call::Commit),
            abort: metrics.calls(&name, Call::Abort),
        };
        Self {
            name,
            participant,
            times,
            calls: AtomicU64::new(0),
            probing: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// Counts a call until it is dropped, and measures it.
    pub(super) fn calling(&self, call: Call) -> Calling<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let took = match call {
            Call::Prepare => &self.times.prepare,
            Call::Hold => &self.times.hold,
            Call::Commit => &self.times.commit,
            Call::Abort => &self.times.abort,
        };
        Calling { calls: &self.calls, took, since: Instant::now() }
    }

    /// Why it is down, if it is.
    pub(super) fn down(&self) -> Option<String> {
        let seen = self.seen();
        let fault = seen.last_fault.as_deref().unwrap_or("it did not answer");
        seen.is_down.then(|| format!("resource `{}` is down: {fault}", self.name))
    }

    /// Whether it can take part in a pact. A resource that is away stays what it was.
    pub(super) fn speaks_with_peers(&self) -> Speaks {
        let (name, kind, seen) = (&self.name, self.participant.kind(), self.seen());
        match &seen.peer {
            Some(peer) if peer == name => Speaks::Yes,
            Some(peer) => {
                Speaks::No(format!("resource `{name}` is the shard `{peer}`: name both alike"))
            }
            None if kind == "http" && seen.scanned_at_ms.is_none() => {
                Speaks::NotKnown { is_down: seen.is_down }
            }
            None => Speaks::No(format!("resource `{name}` ({kind}) has no peers to finish with")),
        }
    }

    /// Something smelled of an unreachable server: looks closer, unless somebody does already.
    pub(super) fn suspect(self: &Arc<Self>, inner: &Arc<Inner>) {
        if self.probing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (resource, inner) = (Arc::clone(self), Arc::clone(inner));
        tokio::spawn(async move {
            let mut was_down = false;
            while resource.scan().await.is_err() {
                was_down = true;
                tokio::time::sleep(PROBE_EVERY).await;
            }
            resource.probing.store(false, Ordering::Release);
            if was_down {
                tracing::info!(resource = resource.name, "the resource answers again");
                resource.retry_waiting(&inner).await;
                // What it brought back prepared may be what nobody waits for.
                recovery::search(&inner, &resource).await;
            }
        });
    }

    /// Asks what is prepared there, and notes whether it answers.
    pub(super) async fn scan(&self) -> Result<InDoubt, Unreachable> {
        let asked = tokio::time::timeout(PROBE_WITHIN, self.participant.in_doubt()).await;
        let found = asked.unwrap_or_else(|_| {
            Err(Unreachable(format!("no answer within {} s", PROBE_WITHIN.as_secs())))
        });
        let mut seen = self.seen();
        match &found {
            Ok(found) => {
                seen.is_down = false;
                seen.scanned_at_ms = Some(now_ms());
                seen.prepared = found.own.len() as u64;
                seen.foreign = found.foreign;
                seen.peer = found.peer.clone();
                seen.oldest_ms = found.own.iter().filter_map(|(_, age_ms)| *age_ms).max();
            }
            Err(Unreachable(fault)) => {
                if !seen.is_down {
                    tracing::warn!(resource = self.name, fault, "the resource is down");
                }
                seen.is_down = true;
                seen.last_fault = Some(fault.clone());
            }
        }
        found
    }

    /// Lets every decision that waits for this resource go out now.
    async fn retry_waiting(&self, inner: &Inner) {
        let name = self.name.clone();
        let waiting = inner.ask(move |partition| {
            let mut waiting = Vec::new();
            for (gid, saved, _) in partition.machines() {
                let Some(known) = &saved.known else { continue };
                for (index, branch) in known.branches.iter().enumerate() {
                    if branch.resource == name && branch.is_pending() {
                        waiting.push((Arc::clone(gid), known.run, index as u8));
                    }
                }
            }
            waiting
        });
        for (gid, run, branch) in waiting.await.unwrap_or_default() {
            inner.send(&gid, Input::Fired(Timer::Retry(run, branch)));
        }
    }

    pub(super) fn view(&self) -> wire::Resource {
        let seen = self.seen();
        let health = match (seen.is_down, seen.scanned_at_ms) {
            (true, _) => wire::Health::Down,
            (false, Some(_)) => wire::Health::Up,
            (false, None) => wire::Health::Unknown,
        };
        let scanned = |number: u64| seen.scanned_at_ms.map(|_| number);
        wire::Resource {
            name: self.name.clone(),
            kind: self.participant.kind().into(),
            health,
            last_fault: seen.last_fault.clone(),
            prepared: scanned(seen.prepared),
            foreign: scanned(seen.foreign),
            oldest_in_doubt_ms: seen.oldest_ms,
            scanned_at_ms: seen.scanned_at_ms,
            calls: self.calls.load(Ordering::Relaxed),
            peer: seen.peer.clone(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
