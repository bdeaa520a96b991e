//! Calls of services: steps, undoing, reservations, deliveries, and asking back.
//!
//! Each is answered exactly once, whatever becomes of its task.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use handfast_core::{
    id::RunId,
    limits::REASON_BYTES_MAX,
    plan::Verb,
    transaction::{Index, Input},
    vote::{Ack, Cause, Refusal, Reply},
};

use super::{Inner, filling::Filling, lanes, line::Line, metrics::Call, resource::Resource};
use crate::stop_point;

/// What is to be called.
pub(super) struct Request {
    pub(super) gid: Arc<str>,
    pub(super) run: RunId,
    /// Of an asking back: 0.
    pub(super) branch: Index,
    pub(super) verb: Verb,
    pub(super) within: Duration,
    pub(super) filling: Filling,
}

/// Calls, unless the resource is down; an ordered delivery waits for those before it.
pub(super) fn call(inner: &Arc<Inner>, resource: &Arc<Resource>, request: Request) {
    let key = request.lane().map(str::to_owned);
    let request = match &key {
        Some(key) => resource.lanes.enter(key, request),
        None => Some(request),
    };
    if let Some(request) = request {
        leave(inner, resource, request);
    }
}

/// Calls what need not wait for others of its lane any more.
pub(super) fn leave(inner: &Arc<Inner>, resource: &Arc<Resource>, request: Request) {
    match resource.down() {
        None => Line::call(inner, resource, Waiting { request, since: Instant::now() }),
        Some(fault) => {
            let since = Instant::now();
            Asked { inner, resource: Some(resource), request, since, answered: false }
                .answer(Reply::Unsent(fault));
        }
    }
}

/// Nobody can be called there: its resource is not configured any more.
pub(super) fn nowhere(inner: &Arc<Inner>, name: &str, request: Request) {
    let since = Instant::now();
    let mut asked = Asked { inner, resource: None, request, since, answered: false };
    asked.answer(Reply::Broken(format!("resource `{name}` is not configured any more")));
}

impl Request {
    /// The key of the lane in which it is delivered, if it is.
    fn lane(&self) -> Option<&str> {
        let calls = self.filling.calls(self.branch).filter(|_| self.verb == Verb::Deliver)?;
        lanes::key(calls)
    }
}

/// A request in line.
pub(super) struct Waiting {
    request: Request,
    since: Instant,
}

impl Waiting {
    pub(super) async fn run(self, inner: &Arc<Inner>, resource: &Arc<Resource>) {
        let Self { request, since } = self;
        let mut asked = Asked { inner, resource: Some(resource), request, since, answered: false };
        let reply = asked.call(resource).await;
        asked.answer(reply);
    }
}

/// A request that must be answered. Dropped without, nobody knows what came of it.
struct Asked<'a> {
    inner: &'a Arc<Inner>,
    resource: Option<&'a Arc<Resource>>,
    request: Request,
    since: Instant,
    answered: bool,
}

impl Asked<'_> {
    async fn call(&self, resource: &Arc<Resource>) -> Reply {
        let Request { gid, run, branch, verb, within, filling } = &self.request;
        if let Some(fault) = resource.down() {
            return Reply::Unsent(fault);
        }
        let is_act = matches!(verb, Verb::Do | Verb::Try);
        if is_act && self.inner.runs.is_decided(*run) {
            return Reply::Unsent("it was decided while the call waited".into());
        }
        let within = resource.call_within.min(*within);
        let Some(left) = within.checked_sub(self.since.elapsed()).filter(|left| !left.is_zero())
        else {
            return Reply::Unsent("all calls that may run there at once were busy".into());
        };
        let call = match filling.call(*verb, *branch) {
            Ok(call) => call,
            Err(missing) => return unfilled(*verb, missing),
        };
        let kind = Call::from(*verb);
        self.inner.runs.asked(*run, *branch, kind);
        let calling = resource.calling(kind);
        stop_point::reach(format_args!("before_{}.{branch}", kind.name()));
        let id = self.inner.branch_id(*run, *branch);
        let reply = resource.participant.call(filling.service_call(gid, id, *verb, call, left));
        let reply = reply.await;
        stop_point::reach(format_args!("after_{}.{branch}", kind.name()));
        let fault = fault(&reply);
        self.inner.runs.answered(*run, *branch, kind, calling.took(), fault.as_deref());
        resource.replied(self.inner, &reply);
        reply
    }

    fn answer(&mut self, reply: Reply) {
        self.answered = true;
        let Request { gid, run, branch, verb, filling, .. } = &self.request;
        if let Some(fault) = fault(&reply) {
            let (gid, name) = (&**gid, verb.name());
            tracing::debug!(gid, branch, verb = name, fault = &*fault, "a call was not done");
            if let (Verb::Ask, Reply::Broken(_)) = (verb, &reply) {
                let answer = &*fault;
                tracing::warn!(
                    gid,
                    answer,
                    "its caller's service cannot be asked; it is tried again"
                );
            }
        }
        let (run, branch, took) = (*run, *branch, self.since.elapsed());
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let reply = match (verb, reply) {
            (Verb::Ask, Reply::Refused(refusal)) => Reply::Refused(filling.asked_back(refusal)),
            (_, reply) => reply,
        };
        let input = heard(*verb, run, branch, reply, took_ms);
        let is_finished = matches!(input, Input::Acked { ack: Ack::Finished, .. });
        self.inner.send(gid, input);
        if let (true, Some(resource), Some(key)) = (is_finished, self.resource, self.request.lane())
            && let Some(next) = resource.lanes.finished(key, &self.request)
        {
            leave(self.inner, resource, next);
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.answer(Reply::Unknown("the call was stopped before it answered".into()));
        }
    }
}

/// What the machine is told of an answer.
pub(super) fn heard(verb: Verb, run: RunId, branch: Index, reply: Reply, took_ms: u64) -> Input {
    match verb {
        Verb::Do | Verb::Try => Input::Answered { run, branch, reply, took_ms },
        Verb::Ask => Input::AskedBack { run, reply },
        Verb::Undo | Verb::Deliver | Verb::Confirm | Verb::Cancel => {
            Input::Acked { run, branch, ack: ack(reply), took_ms }
        }
    }
}

/// Nobody was asked, so this is nobody's answer.
const NOT_CALLED: &str = "it could not be called: ";

/// What comes of a call that names what is not there: nothing is called.
pub(super) fn unfilled(verb: Verb, missing: Refusal) -> Reply {
    match verb {
        Verb::Do | Verb::Try => Reply::Refused(missing),
        _ => Reply::Broken(format!("{NOT_CALLED}{}", missing.message)),
    }
}

/// What a service's answer means once it is decided. There is no refusing then.
pub(super) fn ack(reply: Reply) -> Ack {
    match reply {
        Reply::Done(_) => Ack::Finished,
        Reply::InProgress(after_ms) => Ack::InProgress(after_ms),
        Reply::Unsent(detail) => Ack::Unsent(detail),
        Reply::Later(later) => Ack::Later(later),
        Reply::Unknown(detail) => Ack::Unknown(detail),
        Reply::Refused(refusal) => Ack::Broken(format!("it refused: {}", refusal.message)),
        Reply::Broken(detail) => Ack::Broken(detail),
    }
}

/// Why an answer is no success; none if it is.
pub(super) fn fault(reply: &Reply) -> Option<std::borrow::Cow<'_, str>> {
    match reply {
        Reply::Done(_) => None,
        Reply::Refused(Refusal { message, .. }) => {
            // What a service refuses with may be as long as an output.
            let end = message.floor_char_boundary(REASON_BYTES_MAX);
            Some(format!("refused: {}", &message[..end]).into())
        }
        Reply::InProgress(_) => Some("in progress".into()),
        Reply::Unsent(detail) => Some(format!("not sent: {detail}").into()),
        Reply::Later(later) => Some((&*later.detail).into()),
        Reply::Unknown(detail) | Reply::Broken(detail) => Some(detail.into()),
    }
}

/// A call names an output, or a part of the input, that is not there.
pub(super) fn missing(message: String) -> Refusal {
    Refusal { code: "missing_output".into(), message, cause: Cause::Request }
}

#[cfg(test)]
mod tests {
    use handfast_core::vote::{Later, Proof};

    use super::*;

    #[test]
    fn what_is_decided_cannot_be_refused() {
        let refusal = missing("too late".into());
        let later = |may_be_done| Later { detail: "429".into(), after_ms: 7, may_be_done };
        let table = [
            (Reply::Done(Proof("1".into())), Ack::Finished),
            (Reply::Refused(refusal), Ack::Broken("it refused: too late".into())),
            (Reply::InProgress(7), Ack::InProgress(7)),
            (Reply::Unsent("away".into()), Ack::Unsent("away".into())),
            (Reply::Later(later(false)), Ack::Later(later(false))),
            (Reply::Later(later(true)), Ack::Later(later(true))),
            (Reply::Unknown("500".into()), Ack::Unknown("500".into())),
            (Reply::Broken("404".into()), Ack::Broken("404".into())),
        ];
        for (reply, wanted) in table {
            assert_eq!(ack(reply), wanted);
        }
    }
}
