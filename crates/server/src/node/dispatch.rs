//! Effects go out: to participants, callers and timers.
//!
//! The partition's thread hands effects over; every call to a participant is a task of its own.
//! Each call is answered exactly once, whatever becomes of its task.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use handfast_core::{
    id::RunId,
    pact::Pact,
    transaction::{Effect, Index, Input, Timer},
    vote::{Ack, Cause, Proof, Refusal, Vote},
    work::Work,
};
use handfast_log::Addressed;
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    Inner,
    metrics::{self, Outcome},
    resource::Resource,
};
use crate::{driver::now_ms, stop_point};

/// Most time for one call that tells a branch the decision.
const TELL_WITHIN: Duration = Duration::from_secs(10);

/// Prepares that run now, so that an abort can stop them first.
type Prepares = Arc<Mutex<HashMap<(RunId, Index), JoinHandle<()>>>>;

/// What the partition's thread does with effects. It waits for the node that is about to be there
/// and never again: every call is a task of its own.
pub(super) fn dispatcher(
    node: Arc<OnceLock<Arc<Inner>>>,
) -> impl FnMut(Vec<(Arc<str>, Effect)>) + Send + 'static {
    let (runtime, prepares) = (Handle::current(), Prepares::default());
    move |effects| {
        let (inner, _entered) = (node.wait(), runtime.enter());
        for (gid, effect) in effects {
            dispatch(inner, &prepares, gid, effect);
        }
    }
}

fn dispatch(inner: &Arc<Inner>, prepares: &Prepares, gid: Arc<str>, effect: Effect) {
    match effect {
        Effect::Reply { request, answer } => {
            stop_point::reach("before_reply");
            inner.reply(request, answer);
        }
        Effect::Arm { timer, after_ms } => arm(inner, gid, timer, after_ms),
        Effect::Close { run } => close(inner, run),
        Effect::Alarm { branch, detail } => {
            inner.metrics.heuristic();
            tracing::error!(
                gid = &*gid,
                branch,
                detail,
                "a branch was finished against the decision"
            );
        }
        Effect::Prepare { run, branch, resource, work, one_phase, within_ms, pact } => {
            let within = Duration::from_millis(within_ms);
            let call = Call { inner: Arc::clone(inner), gid, run, branch, resource };
            let done = Arc::clone(prepares);
            // Held over spawn and insert: the task cannot take itself out before it is in.
            let mut running = prepares.lock().unwrap_or_else(PoisonError::into_inner);
            let task = tokio::spawn(async move {
                call.prepare(work, one_phase, within, pact).await;
                done.lock().unwrap_or_else(PoisonError::into_inner).remove(&(run, branch));
            });
            running.insert((run, branch), task);
        }
        Effect::Commit { run, branch, resource, proof, one_phase } => {
            // The commit of a held branch *is* the decision, if it succeeds.
            if !one_phase {
                decided(inner, run, Outcome::Committed);
            }
            let call = Call { inner: Arc::clone(inner), gid, run, branch, resource };
            tokio::spawn(call.commit(proof, one_phase));
        }
        Effect::Abort { run, branch, resource, proof } => {
            decided(inner, run, Outcome::Aborted);
            let call = Call { inner: Arc::clone(inner), gid, run, branch, resource };
            let mut running = prepares.lock().unwrap_or_else(PoisonError::into_inner);
            let prepare = running.remove(&(run, branch));
            tokio::spawn(call.abort(prepare, proof));
        }
        Effect::Send { to, message } => inner.tell(to, message),
    }
}

fn arm(inner: &Inner, gid: Arc<str>, timer: Timer, after_ms: u64) {
    let after_ms = after_ms + jitter(timer, after_ms);
    let fired = Addressed { stream: gid, input: Input::Fired(timer), fresh: false };
    let armed = inner.driver.arm(after_ms, fired);
    match timer {
        Timer::Votes(run) => inner.runs.keep_votes_timer(run, armed),
        Timer::Lead(run) => inner.runs.keep_lead_timer(run, armed),
        Timer::Retry(run, branch) => inner.runs.tried_again_at(run, branch, now_ms() + after_ms),
    }
}

fn close(inner: &Inner, run: RunId) {
    let Some(open) = inner.runs.remove(run) else { return };
    if let Some((outcome, took, was_told)) = open.finished() {
        if !was_told {
            inner.metrics.decided(outcome, took);
        }
        inner.metrics.applied(outcome, took);
    }
    for armed in [open.votes, open.lead].into_iter().flatten() {
        inner.driver.disarm(armed);
    }
}

fn decided(inner: &Inner, run: RunId, outcome: Outcome) {
    if let Some(took) = inner.runs.decided(run, outcome) {
        inner.metrics.decided(outcome, took);
    }
}

/// Up to a quarter of a retry's wait, different for each branch; deadlines are kept as they are.
fn jitter(timer: Timer, after_ms: u64) -> u64 {
    match timer {
        Timer::Votes(_) | Timer::Lead(_) => 0,
        Timer::Retry(run, branch) => {
            let mixed = (run.number.wrapping_mul(31) + u64::from(branch)).wrapping_mul(0x9e37_79b9);
            (mixed >> 7) % (after_ms / 4 + 1)
        }
    }
}

/// One call to one participant about one branch.
struct Call {
    inner: Arc<Inner>,
    gid: Arc<str>,
    run: RunId,
    branch: Index,
    resource: String,
}

impl Call {
    async fn prepare(self, work: Work, one_phase: bool, within: Duration, pact: Option<Pact>) {
        let mut vote = VoteOnce { call: &self, sent: false };
        let Some(resource) = self.resource() else {
            return vote
                .send(Vote::No(refusal("unknown_resource", "it is not configured any more")));
        };
        if let Some(fault) = resource.down() {
            return vote.send(Vote::No(refusal("resource_down", &fault)));
        }
        let kind = if one_phase { metrics::Call::Hold } else { metrics::Call::Prepare };
        let _call = resource.calling(kind);
        stop_point::reach(format_args!("before_prepare.{}", self.branch));
        let id = self.inner.branch_id(self.run, self.branch);
        let prepared = match (pact, one_phase) {
            (Some(pact), _) => resource.participant.prepare_in(pact, id, work, within).await,
            (None, false) => resource.participant.prepare(id, work, within).await,
            (None, true) => resource.participant.hold(id, work, within).await,
        };
        stop_point::reach(format_args!("after_prepare.{}", self.branch));
        if let Vote::No(refusal) | Vote::Lost(refusal) = &prepared.vote {
            self.inner.runs.refused(self.run);
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

    async fn commit(self, proof: Proof, one_phase: bool) {
        let mut ack = AckOnce { call: &self, sent: false };
        let Some(resource) = self.open_resource(&mut ack) else { return };
        let _call = resource.calling(metrics::Call::Commit);
        stop_point::reach(format_args!("before_commit.{}", self.branch));
        let id = self.inner.branch_id(self.run, self.branch);
        let call = match one_phase {
            false => resource.participant.commit(id, proof),
            true => resource.participant.commit_one_phase(id, proof),
        };
        let answer = within(call).await;
        stop_point::reach(format_args!("after_commit.{}", self.branch));
        if one_phase && matches!(answer, Ack::Heuristic(_)) {
            self.inner.runs.refused(self.run);
        }
        ack.send(answer, &resource);
    }

    async fn abort(self, prepare: Option<JoinHandle<()>>, proof: Proof) {
        if let Some(prepare) = prepare {
            // Dropped first, so that nothing of ours can still send a prepare.
            prepare.abort();
            let _ = prepare.await;
        }
        let mut ack = AckOnce { call: &self, sent: false };
        let Some(resource) = self.open_resource(&mut ack) else { return };
        let _call = resource.calling(metrics::Call::Abort);
        stop_point::reach(format_args!("before_abort.{}", self.branch));
        let id = self.inner.branch_id(self.run, self.branch);
        let answer = within(resource.participant.abort(id, proof)).await;
        stop_point::reach(format_args!("after_abort.{}", self.branch));
        ack.send(answer, &resource);
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
            ack.give(Ack::Unknown(fault));
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

fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.into(), message: message.into(), cause: Cause::Passing }
}

/// Sends the vote once; if the task is stopped or panics before, nobody knows.
struct VoteOnce<'a> {
    call: &'a Call,
    sent: bool,
}

impl VoteOnce<'_> {
    fn send(&mut self, vote: Vote) {
        self.sent = true;
        let Call { inner, gid, run, branch, .. } = self.call;
        inner.send(gid, Input::Voted { run: *run, branch: *branch, vote });
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
}

impl AckOnce<'_> {
    fn send(&mut self, ack: Ack, resource: &Arc<Resource>) {
        if let Ack::Unknown(answer) | Ack::Broken(answer) = &ack {
            let (gid, resource) = (&*self.call.gid, &self.call.resource);
            tracing::warn!(gid, resource, answer, "a branch is not finished; it is tried again");
        }
        if matches!(ack, Ack::Unknown(_)) {
            resource.suspect(&self.call.inner);
        }
        self.give(ack);
    }

    fn give(&mut self, ack: Ack) {
        self.sent = true;
        let Call { inner, gid, run, branch, .. } = self.call;
        inner.send(gid, Input::Acked { run: *run, branch: *branch, ack });
    }
}

impl Drop for AckOnce<'_> {
    fn drop(&mut self) {
        if !self.sent {
            self.give(Ack::Unknown("the call was stopped before it answered".into()));
        }
    }
}
