//! Services that are called: steps, reservations and deliveries.
//!
//! `docs/services.md` says what a service must do. What its answers mean is one table, in
//! `service/answer.rs`; an answer that is missing is *unknown*, and never guessed.

mod answer;
mod probe;
mod request;
mod signature;

pub use request::check_call;

use std::{path::PathBuf, sync::Arc, time::Duration};

use handfast_core::{
    id::BranchId,
    limits::OUTPUT_BYTES_MAX,
    plan::{Call, Verb},
    vote::{Ack, Cause, Proof, Reply, Vote},
    work::Work,
};

use self::{probe::Probe, request::Requests};
use crate::{
    Finding, InDoubt, Participant, Pending, Prepared, Settings, Unreachable,
    http::{CallError, CallSettings, Caller},
    refusal::{WRONG_WORK, bounded, refusal},
    tls,
};

/// The call cannot be sent: its path or a header holds what cannot be there.
const BAD_CALL: &str = "bad_call";
/// What the address of a service starts with, before `http` or `https`.
const SCHEME_PREFIX: &str = "service+";

/// One call of a service.
#[derive(Clone)]
pub struct ServiceCall {
    /// The transaction's name.
    pub gid: String,
    /// The branch.
    pub branch: BranchId,
    /// What is asked.
    pub verb: Verb,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// The request, with its templates filled in.
    pub call: Call,
    /// The transaction's `traceparent`; empty for none.
    pub trace: String,
    /// Most time, waiting for a free connection included.
    pub within: Duration,
    /// What 404 or 410 to undo or cancel means.
    pub absent: Absent,
}

/// What it means that a service has nothing to undo or cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Nothing: the branch does not say that it may be so.
    Nonsense,
    /// That it is undone, or never was done.
    Undone,
    /// As [`Absent::Undone`], but only for now: what would do it may still arrive.
    TooEarly,
}

/// What is set for services alone.
#[derive(Clone, Default)]
pub struct ServiceSettings {
    /// Sent with every call; may hold secrets.
    pub headers: Vec<(String, String)>,
    /// With what calls are signed, at least 16 bytes; unsigned if absent.
    pub signing_secret: Option<String>,
    /// PEM file of the certificate that we show, with its chain.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of its private key.
    pub key_file: Option<PathBuf>,
    /// What to `GET` to see whether the service is well: 2xx. If absent, that it takes a
    /// connection is enough.
    pub health_path: Option<String>,
}

/// Makes the adapter. Does not connect yet.
///
/// # Errors
/// What is wrong with the settings, without secrets.
pub fn open(settings: Settings) -> Result<Arc<dyn Participant>, String> {
    let made = make(&settings);
    let service = made.map_err(|why| format!("resource `{}`: {why}", settings.name))?;
    Ok(Arc::new(service))
}

fn make(settings: &Settings) -> Result<Service, String> {
    let requests = Requests::new(caller(settings, settings.connections_max)?, &settings.service)?;
    // Its own connection: a service that is busy is not away.
    let probe = Probe::new(caller(settings, 1)?, requests.headers.clone(), settings)?;
    Ok(Service { requests, probe })
}

fn caller(settings: &Settings, connections_max: usize) -> Result<Caller, String> {
    let url = settings.url.strip_prefix(SCHEME_PREFIX).unwrap_or(&settings.url);
    let ca_file = settings.ca_file.as_deref();
    let service = &settings.service;
    let tls = match (&service.certificate_file, &service.key_file) {
        (None, None) => tls::trusting(ca_file).map_err(|why| format!("ca_file: {why}"))?,
        (Some(_), Some(_)) if url.starts_with("http://") => {
            return Err("a client certificate is shown over `service+https` only".into());
        }
        (Some(certificate), Some(key)) => tls::showing(ca_file, certificate, key)?,
        _ => return Err("a client certificate needs both its file and its key's".into()),
    };
    Caller::new(CallSettings {
        url,
        token: settings.secret.as_deref(),
        tls,
        connections_max,
        connect_timeout: settings.connect_timeout,
    })
}

struct Service {
    requests: Requests,
    probe: Probe,
}

impl Participant for Service {
    fn kind(&self) -> &'static str {
        "service"
    }

    fn one_phase(&self) -> bool {
        false
    }

    fn prepare(&self, _: BranchId, _: Work, _: Duration) -> Pending<'_, Prepared> {
        Box::pin(async { only_called() })
    }

    fn hold(&self, _: BranchId, _: Work, _: Duration) -> Pending<'_, Prepared> {
        Box::pin(async { only_called() })
    }

    fn commit(&self, _: BranchId, _: Proof) -> Pending<'_, Ack> {
        Box::pin(async { Ack::Broken(ONLY_CALLED.into()) })
    }

    fn commit_one_phase(&self, _: BranchId, _: Proof) -> Pending<'_, Ack> {
        Box::pin(async { Ack::Broken(ONLY_CALLED.into()) })
    }

    fn abort(&self, _: BranchId, _: Proof) -> Pending<'_, Ack> {
        Box::pin(async { Ack::Broken(ONLY_CALLED.into()) })
    }

    fn call(&self, call: ServiceCall) -> Pending<'_, Reply> {
        Box::pin(self.answer_to(call))
    }

    fn in_doubt(&self) -> Pending<'_, Result<InDoubt, Unreachable>> {
        Box::pin(async { self.probe.look().await.map(|()| InDoubt::default()) })
    }

    fn check(&self) -> Pending<'_, Vec<Finding>> {
        Box::pin(async { self.probe.check(self.requests.are_signed()).await })
    }
}

impl Service {
    async fn answer_to(&self, call: ServiceCall) -> Reply {
        let (verb, within, absent) = (call.verb, call.within, call.absent);
        let request = match self.requests.make(call) {
            Ok(request) => request,
            Err(why) => return unsendable(verb, why),
        };
        match self.requests.caller.send(request, OUTPUT_BYTES_MAX, within).await {
            Ok(answer) => answer::reply(verb, absent, &answer),
            Err(error @ (CallError::NotSent(_) | CallError::Busy)) => {
                Reply::Unsent(bounded(error.to_string()))
            }
            Err(CallError::NoAnswer(why)) => Reply::Unknown(bounded(why)),
        }
    }
}

/// What can never be sent will never be done; but what must be done, or asked, is stuck.
fn unsendable(verb: Verb, why: String) -> Reply {
    match verb {
        Verb::Do | Verb::Try => Reply::Refused(refusal(BAD_CALL, Cause::Request, why)),
        Verb::Undo | Verb::Deliver | Verb::Confirm | Verb::Cancel | Verb::Ask => {
            Reply::Broken(bounded(format!("{BAD_CALL}: {why}")))
        }
    }
}

const ONLY_CALLED: &str = "this resource is a service: it takes calls, neither `sql` nor `keys`";

fn only_called() -> Prepared {
    let vote = Vote::No(refusal(WRONG_WORK, Cause::Request, ONLY_CALLED));
    Prepared { vote, rows: Vec::new() }
}
