//! Services that speak Handfast's participant protocol over HTTP, such as its own shards.
//!
//! `docs/participant-protocol.md` says what a service must promise. A call that may have arrived
//! and has no answer is *unknown*: the vote is lost, the acknowledgement is to be asked for again.

mod call;
mod pool;
pub mod words;

pub use call::{Answer, BODY_BYTES_MAX, CallError, CallSettings, Caller};

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use handfast_core::{
    id::{BranchId, Cluster, check_name},
    pact::Pact,
    vote::{Ack, Cause, Proof, Refusal, Vote},
    work::Work,
};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;

use self::words::{AckWord, Acked, Branches, Check, PROTOCOL, Prepare, VoteWord, Voted};
use crate::{
    Finding, InDoubt, Level, Participant, Pending, Prepared, Settings, Unreachable,
    refusal::{LOGIN_REFUSED, UNREACHABLE, WRONG_WORK, bounded, refusal},
    tls,
};

/// The service answers what the protocol does not know.
const BAD_ANSWER: &str = "bad_answer";
/// The service refuses the request as wrong.
const REQUEST_REFUSED: &str = "request_refused";
/// The call was sent and has no answer.
const NO_ANSWER: &str = "no_answer";
/// Most pages of branches in doubt that are read at once; what is left is read the next time.
const PAGES_MAX: usize = 64;

/// Makes the adapter. Does not connect yet.
///
/// # Errors
/// What is wrong with the settings, without secrets.
pub fn open(settings: Settings) -> Result<Arc<dyn Participant>, String> {
    let caller = caller(&settings, settings.connections_max)?;
    let (within, cluster) = (settings.statement_timeout, settings.cluster);
    Ok(Arc::new(Http { caller, within, cluster }))
}

/// Calls the service, with at most so many connections.
///
/// # Errors
/// What is wrong with the settings, without secrets.
pub fn caller(settings: &Settings, connections_max: usize) -> Result<Caller, String> {
    let caller = Caller::new(CallSettings {
        url: &settings.url,
        token: settings.secret.as_deref(),
        tls: tls::client_config(settings)?,
        connections_max,
        connect_timeout: settings.connect_timeout,
    });
    caller.map_err(|why| format!("resource `{}`: {why}", settings.name))
}

struct Http {
    caller: Caller,
    /// Most time of a call that has no limit of its own.
    within: Duration,
    cluster: Cluster,
}

impl Participant for Http {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn one_phase(&self) -> bool {
        false
    }

    fn prepare(&self, branch: BranchId, work: Work, within: Duration) -> Pending<'_, Prepared> {
        Box::pin(self.ask_to_prepare(branch, work, within, None))
    }

    fn prepare_in(
        &self,
        pact: Pact,
        branch: BranchId,
        work: Work,
        within: Duration,
    ) -> Pending<'_, Prepared> {
        Box::pin(self.ask_to_prepare(branch, work, within, Some(pact)))
    }

    fn hold(&self, _: BranchId, _: Work, _: Duration) -> Pending<'_, Prepared> {
        let why = "a service cannot keep a branch open without preparing it";
        let vote = Vote::No(refusal(WRONG_WORK, Cause::Request, why));
        Box::pin(async { without_rows(vote) })
    }

    fn commit(&self, branch: BranchId, _: Proof) -> Pending<'_, Ack> {
        Box::pin(async move { self.tell(&branch, "commit").await })
    }

    fn commit_one_phase(&self, _: BranchId, _: Proof) -> Pending<'_, Ack> {
        Box::pin(async { Ack::Broken("a service does not commit in one phase".into()) })
    }

    fn abort(&self, branch: BranchId, _: Proof) -> Pending<'_, Ack> {
        Box::pin(async move { self.tell(&branch, "abort").await })
    }

    fn in_doubt(&self) -> Pending<'_, Result<InDoubt, Unreachable>> {
        Box::pin(async move {
            let mut found = InDoubt::default();
            let mut foreign = 0;
            let mut path = "/v1/branches".to_owned();
            for _ in 0..PAGES_MAX {
                let page: Branches = self.get(&path).await?;
                foreign = page.foreign;
                found.peer = page.peer.filter(|name| check_name(name).is_ok());
                self.sort(page.in_doubt, &mut found);
                // Only an id of ours may become part of a path.
                match page.next.and_then(|next| BranchId::parse(&next)) {
                    Some(next) => path = format!("/v1/branches?after={next}"),
                    None => break,
                }
            }
            found.foreign += foreign;
            Ok(found)
        })
    }

    fn check(&self) -> Pending<'_, Vec<Finding>> {
        Box::pin(async move {
            vec![match self.get::<Check>("/v1/check").await {
                Ok(check) if check.protocol == PROTOCOL => {
                    finding(Level::Ok, "protocol", format!("it speaks {PROTOCOL}"), "")
                }
                Ok(check) => {
                    let said = bounded(format!("it speaks {}, not {PROTOCOL}", check.protocol));
                    finding(Level::Error, "protocol", said, "update the service")
                }
                Err(Unreachable(why)) => {
                    let cure = "check the address, the token, and that the service runs";
                    finding(Level::Error, "unreachable", why, cure)
                }
            }]
        })
    }
}

impl Http {
    async fn ask_to_prepare(
        &self,
        branch: BranchId,
        work: Work,
        within: Duration,
        pact: Option<Pact>,
    ) -> Prepared {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let body = serde_json::to_vec(&Prepare { work, within_ms, pact });
        let body = body.expect("work is made of what JSON can say");
        let path = format!("/v1/branches/{branch}/prepare");
        match self.caller.call(Method::POST, &path, body, within).await {
            Ok((status, body)) => prepared(status, &body),
            Err(error @ (CallError::NotSent(_) | CallError::Busy)) => {
                without_rows(Vote::No(refusal(UNREACHABLE, Cause::Passing, error.to_string())))
            }
            Err(CallError::NoAnswer(why)) => {
                without_rows(Vote::Lost(refusal(NO_ANSWER, Cause::Passing, why)))
            }
        }
    }

    async fn tell(&self, branch: &BranchId, what: &str) -> Ack {
        let path = format!("/v1/branches/{branch}/{what}");
        match self.caller.call(Method::POST, &path, Vec::new(), self.within).await {
            Ok((status, body)) => acked(status, &body),
            Err(error) => Ack::Unknown(bounded(error.to_string())),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unreachable> {
        let answer = self.caller.call(Method::GET, path, Vec::new(), self.within).await;
        let (status, body) = answer.map_err(|error| Unreachable(bounded(error.to_string())))?;
        match status {
            StatusCode::OK => read(&body).map_err(Unreachable),
            _ => Err(Unreachable(said(status, &body))),
        }
    }

    fn sort(&self, in_doubt: Vec<words::InDoubtBranch>, found: &mut InDoubt) {
        for words::InDoubtBranch { branch, age_ms, .. } in in_doubt {
            match BranchId::parse(&branch).filter(|branch| branch.cluster == self.cluster) {
                Some(branch) => found.own.push((branch, age_ms)),
                None => found.foreign += 1,
            }
        }
    }
}

/// A 4xx was not taken and never will be. Anything else that is no vote tells nothing.
fn prepared(status: StatusCode, body: &Bytes) -> Prepared {
    let lost = |why| without_rows(Vote::Lost(refusal(BAD_ANSWER, Cause::Passing, why)));
    match status {
        StatusCode::OK => match read::<Voted>(body) {
            Ok(Voted { vote: VoteWord::Yes, rows, .. }) => {
                Prepared { vote: Vote::Yes(Proof::default()), rows }
            }
            Ok(Voted { vote: VoteWord::ReadOnly, rows, .. }) => {
                Prepared { vote: Vote::ReadOnly, rows }
            }
            Ok(Voted { vote: VoteWord::No, refusal: Some(why), .. }) => {
                without_rows(Vote::No(refusal(&bounded(why.code), why.cause, why.message)))
            }
            Ok(Voted { vote: VoteWord::No, refusal: None, .. }) => {
                without_rows(Vote::No(unexplained()))
            }
            Err(why) => lost(why),
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            without_rows(Vote::No(refusal(LOGIN_REFUSED, Cause::Passing, said(status, body))))
        }
        // What a proxy may say of a request that it has passed on already.
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            lost(said(status, body))
        }
        _ if status.is_client_error() => {
            without_rows(Vote::No(refusal(REQUEST_REFUSED, Cause::Request, said(status, body))))
        }
        _ => lost(said(status, body)),
    }
}

fn acked(status: StatusCode, body: &Bytes) -> Ack {
    match status {
        StatusCode::OK => match read::<Acked>(body) {
            Ok(Acked { ack: AckWord::Finished, .. }) => Ack::Finished,
            Ok(Acked { ack: AckWord::Heuristic, detail }) => Ack::Heuristic(bounded(detail)),
            Ok(Acked { ack: AckWord::Forgotten, .. }) => {
                Ack::Broken("it does not know any more what became of the branch".into())
            }
            Err(why) => Ack::Broken(why),
        },
        _ if status.is_client_error() => Ack::Broken(said(status, body)),
        _ => Ack::Unknown(said(status, body)),
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|why| bounded(format!("its answer makes no sense: {why}")))
}

fn said(status: StatusCode, body: &Bytes) -> String {
    bounded(format!("it answered {status}: {}", String::from_utf8_lossy(body)))
}

fn unexplained() -> Refusal {
    refusal(BAD_ANSWER, Cause::Business, "it voted no without a reason")
}

fn without_rows(vote: Vote) -> Prepared {
    Prepared { vote, rows: Vec::new() }
}

fn finding(level: Level, code: &'static str, message: String, cure: &str) -> Finding {
    Finding { level, code, message, cure: cure.into() }
}
