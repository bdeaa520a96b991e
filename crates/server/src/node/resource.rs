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
use handfast_core::{transaction::Input, vote::Reply};
use handfast_participants::{InDoubt, Participant, Unreachable};

use prometheus_client::metrics::histogram::Histogram;

use super::{
    Inner,
    lanes::Lanes,
    line::Line,
    metrics::{Call, Metrics, Times},
    recovery,
};
use crate::driver::{TURN_MAX, now_ms};

/// Most time for one probe or scan.
const PROBE_WITHIN: Duration = Duration::from_secs(5);
/// Between two probes of a resource that is down.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// A resource's place among all: a name that is small.
pub(super) type Place = u16;

pub(super) struct Resource {
    pub(super) name: String,
    pub(super) participant: Arc<dyn Participant>,
    calls: AtomicU64,
    times: Times,
    /// Most time of one call of a service.
    pub(super) call_within: Duration,
    /// Calls of a service that wait for a place.
    pub(super) line: Line,
    /// Its ordered deliveries.
    pub(super) lanes: Lanes,
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
    times: Option<&'a Histogram>,
    since: Instant,
}

impl Calling<'_> {
    /// How long it has been running.
    pub(super) fn took(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        if let Some(times) = self.times {
            times.observe(self.since.elapsed().as_secs_f64());
        }
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    pub(super) fn place_of(&self, resource: &str) -> Option<Place> {
        let place = self.resources.keys().position(|name| name == resource)?;
        place.try_into().ok()
    }
}

impl Resource {
    /// Of a service: so many calls run at once, and each for so long at most.
    pub(super) fn new(
        name: String,
        participant: Arc<dyn Participant>,
        (calls_max, call_within): (usize, Duration),
        metrics: &Metrics,
    ) -> Self {
        let times = metrics.times(&name, participant.kind() == "service");
        Self {
            name,
            participant,
            times,
            call_within,
            line: Line::new(calls_max),
            lanes: Lanes::default(),
            calls: AtomicU64::new(0),
            probing: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// Counts a call until it is dropped, and measures it.
    pub(super) fn calling(&self, call: Call) -> Calling<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Calling { calls: &self.calls, times: self.times.of(call), since: Instant::now() }
    }

    /// A service answered. That one answers 500, or that it is broken, does not mean that it is
    /// away: the probe tells.
    pub(super) fn replied(self: &Arc<Self>, inner: &Arc<Inner>, reply: &Reply) {
        self.times.replied(reply);
        if matches!(reply, Reply::Unsent(_) | Reply::Unknown(_)) {
            self.suspect(inner);
        }
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
            if resource.was_seen_lately() {
                // One that answers, but with errors, is not asked again for each of them.
                tokio::time::sleep(PROBE_EVERY).await;
            }
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

    fn was_seen_lately(&self) -> bool {
        let seen = self.seen();
        let just_now = now_ms().saturating_sub(PROBE_EVERY.as_millis() as u64);
        !seen.is_down && seen.scanned_at_ms.is_some_and(|at_ms| at_ms > just_now)
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

    /// Lets everything that waits for this resource go out now.
    async fn retry_waiting(&self, inner: &Inner) {
        // What was answered while it was down begins to wait first: that may be every open run.
        for _ in 0..=inner.runs.len() / TURN_MAX {
            let _ = inner.ask(|_| ()).await;
        }
        let Some(place) = inner.place_of(&self.name) else { return };
        for some in inner.runs.waiting_for(place).chunks(TURN_MAX) {
            for (gid, timer) in some {
                inner.send(gid, Input::Fired(*timer));
            }
            // When that is taken: what may be a hundred thousand is not all queued at once.
            let _ = inner.ask(|_| ()).await;
        }
    }

    /// All but what is stuck, which the log knows.
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
            stuck: None,
            calls: self.calls.load(Ordering::Relaxed),
            peer: seen.peer.clone(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
