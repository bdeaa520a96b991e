//! Calls about branches that prepare at databases and shards: prepare and vote, commit, abort.
//!
//! Each is answered exactly once, whatever becomes of its task.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use handfast_core::{
    id::RunId,
    pact::Pact,
    transaction::{Index, Input, Tried},
    vote::{Ack, Cause, Proof, Refusal, Vote},
    work::Work,
};
use handfast_participants::Prepared;
use tokio::task::JoinHandle;

use super::{Inner, filling::Filling, metrics, resource::Resource};
use crate::stop_point;

/// Most time for one call that tells a branch the decision.
const TELL_WITHIN: Duration = Duration::from_secs(10);

/// One call to one participant about one branch.
pub(super) struct Call {
    pub(super) inner: Arc<Inner>,
    pub(super) gid: Arc<str>,
    pub(super) run: RunId,
    pub(super) branch: Index,
    pub(super) resource: String,
    /// What it may use, if there is a plan.
    pub(super) filling: Option<Filling>,
}

impl Call {
    pub(super) async fn prepare(
        self,
        work: Work,
        one_phase: bool,
        within: Duration,
        pact: Option<Pact>,
    ) {
        let mut vote = VoteOnce::new(&self);
        let Some(resource) = self.resource() else {
            return vote
                .send(Vote::No(refusal("unknown_resource", "it is not configured any more")));
        };
        let prepared = match (work, &self.filling) {
            (Work::Sql(sql), Some(filling)) => match filling.sql(sql) {
                Ok(sql) => self.work(&resource, Work::Sql(sql), one_phase, within, pact).await,
                Err(missing) => return vote.send(Vote::No(missing)),
            },
            (work, _) => self.work(&resource, work, one_phase, within, pact).await,
        };
        if let Vote::No(refusal) | Vote::Lost(refusal) = &prepared.vote {
            tracing::debug!(
                gid = &*self.gid,
                resource = self.resource,
                code = refusal.code,
                message = refusal.message,
                "a branch did not prepare"
            );
            if refusal.cause == Cause::Passing {
                resource.suspect(&self.inner);
            }
        }
        self.inner.callers.keep_rows(self.run, self.branch, prepared.rows);
        vote.send(prepared.vote);
    }

    /// Does the work and prepares it, or holds it open; not where nobody answers.
    async fn work(
        &self,
        resource: &Resource,
        work: Work,
        one_phase: bool,
        within: Duration,
        pact: Option<Pact>,
    ) -> Prepared {
        if let Some(fault) = resource.down() {
            let vote = Vote::No(refusal("resource_down", &fault));
            return Prepared { vote, rows: Vec::new() };
        }
        let kind = if one_phase { metrics::Call::Hold } else { metrics::Call::Prepare };
        let asked = self.ask(resource, kind);
        stop_point::reach(format_args!("before_prepare.{}", self.branch));
        let id = self.inner.branch_id(self.run, self.branch);
        let prepared = match (pact, one_phase) {
            (Some(pact), _) => resource.participant.prepare_in(pact, id, work, within).await,
            (None, false) => resource.participant.prepare(id, work, within).await,
            (None, true) => resource.participant.hold(id, work, within).await,
        };
        stop_point::reach(format_args!("after_prepare.{}", self.branch));
        let fault = match &prepared.vote {
            Vote::Yes(_) | Vote::ReadOnly => None,
            Vote::No(refusal) | Vote::Lost(refusal) => Some(refusal.message.as_str()),
        };
        asked.answered(fault);
        prepared
    }

    pub(super) async fn commit(self, proof: Proof, one_phase: bool) {
        let mut ack = AckOnce { call: &self, sent: false, since: Instant::now() };
        let Some(resource) = self.open_resource(&mut ack) else { return };
        let asked = self.ask(&resource, metrics::Call::Commit);
        stop_point::reach(format_args!("before_commit.{}", self.branch));
        let id = self.inner.branch_id(self.run, self.branch);
        let call = match one_phase {
            false => resource.participant.commit(id, proof),
            true => resource.participant.commit_one_phase(id, proof),
        };
        let answer = within(call).await;
        stop_point::reach(format_args!("after_commit.{}", self.branch));
        asked.acked(&answer);
        ack.send(answer, &resource);
    }

    pub(super) async fn abort(self, prepare: Option<JoinHandle<()>>, proof: Proof) {
        if let Some(prepare) = prepare {
            // Dropped first, so that nothing of ours can still send a prepare.
            prepare.abort();
            let _ = prepare.await;
        }
        let mut ack = AckOnce { call: &self, sent: false, since: Instant::now() };
        let Some(resource) = self.open_resource(&mut ack) else { return };
        let asked = self.ask(&resource, metrics::Call::Abort);
        stop_point::reach(format_args!("before_abort.{}", self.branch));
        let id = self.inner.branch_id(self.run, self.branch);
        let answer = within(resource.participant.abort(id, proof)).await;
        stop_point::reach(format_args!("after_abort.{}", self.branch));
        asked.acked(&answer);
        ack.send(answer, &resource);
    }

    /// Counts and remembers a call until it is answered.
    fn ask<'a>(&'a self, resource: &'a Resource, kind: metrics::Call) -> Asked<'a> {
        self.inner.runs.asked(self.run, self.branch, kind);
        Asked { call: self, kind, calling: resource.calling(kind) }
    }

    fn resource(&self) -> Option<Arc<Resource>> {
        self.inner.resources.get(&self.resource).cloned()
    }

    /// The resource, if it is configured and answers.
    fn open_resource(&self, ack: &mut AckOnce<'_>) -> Option<Arc<Resource>> {
        let Some(resource) = self.resource() else {
            let name = &self.resource;
            ack.give(Ack::Broken(format!("resource `{name}` is not configured any more")));
            return None;
        };
        if let Some(fault) = resource.down() {
            ack.give(Ack::Unsent(fault));
            return None;
        }
        Some(resource)
    }
}

async fn within(call: impl Future<Output = Ack>) -> Ack {
    match tokio::time::timeout(TELL_WITHIN, call).await {
        Ok(ack) => ack,
        Err(_) => Ack::Unknown(format!("no answer within {} s", TELL_WITHIN.as_secs())),
    }
}

pub(super) fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.into(), message: message.into(), cause: Cause::Passing }
}

/// A call that runs, as timelines show it.
struct Asked<'a> {
    call: &'a Call,
    kind: metrics::Call,
    calling: super::resource::Calling<'a>,
}

impl Asked<'_> {
    fn answered(self, fault: Option<&str>) {
        let Call { inner, run, branch, .. } = self.call;
        inner.runs.answered(*run, *branch, self.kind, self.calling.took(), fault);
    }

    fn acked(self, ack: &Ack) {
        match ack {
            Ack::Finished => self.answered(None),
            Ack::InProgress(_) => self.answered(Some("in progress")),
            Ack::Heuristic(why) | Ack::Unknown(why) | Ack::Unsent(why) | Ack::Broken(why) => {
                self.answered(Some(why));
            }
            Ack::Later(later) => self.answered(Some(&later.detail)),
        }
    }
}

/// Sends the vote once; if the task is stopped or panics before, nobody knows.
struct VoteOnce<'a> {
    call: &'a Call,
    sent: bool,
    since: Instant,
}

impl<'a> VoteOnce<'a> {
    fn new(call: &'a Call) -> Self {
        Self { call, sent: false, since: Instant::now() }
    }

    fn send(&mut self, vote: Vote) {
        self.sent = true;
        let Call { inner, gid, run, branch, filling, .. } = self.call;
        // Only a plan's records tell of it.
        let tried = filling.as_ref().map(|_| Tried {
            times: 1,
            last_ms: u32::try_from(self.since.elapsed().as_millis()).unwrap_or(u32::MAX),
        });
        inner.send(gid, Input::Voted { run: *run, branch: *branch, vote, tried });
    }
}

impl Drop for VoteOnce<'_> {
    fn drop(&mut self) {
        if !self.sent {
            self.send(Vote::Lost(refusal(
                "call_stopped",
                "the call was stopped before it answered",
            )));
        }
    }
}

/// Sends the acknowledgement once; if the task is stopped or panics before, nobody knows.
struct AckOnce<'a> {
    call: &'a Call,
    sent: bool,
    since: Instant,
}

impl AckOnce<'_> {
    fn send(&mut self, ack: Ack, resource: &Arc<Resource>) {
        if let Ack::Unknown(answer) | Ack::Unsent(answer) | Ack::Broken(answer) = &ack {
            let (gid, resource) = (&*self.call.gid, &self.call.resource);
            tracing::warn!(gid, resource, answer, "a branch is not finished; it is tried again");
        }
        if matches!(ack, Ack::Unknown(_) | Ack::Unsent(_)) {
            resource.suspect(&self.call.inner);
        }
        self.give(ack);
    }

    fn give(&mut self, ack: Ack) {
        self.sent = true;
        let Call { inner, gid, run, branch, .. } = self.call;
        let took_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.send(gid, Input::Acked { run: *run, branch: *branch, ack, took_ms });
    }
}

impl Drop for AckOnce<'_> {
    fn drop(&mut self) {
        if !self.sent {
            self.give(Ack::Unknown("the call was stopped before it answered".into()));
        }
    }
}
