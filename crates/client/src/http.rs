//! One call: attempts until an answer, retried only where that is safe.
//!
//! Every request of this client may be repeated: reads change nothing, a transaction has a gid, a
//! command on a transaction is the same the second time. What a call must never do is lose the
//! knowledge that an earlier attempt *may have arrived*: see [`Call::may_have_arrived`].

use std::{error::Error as _, fmt::Write as _, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use tokio::time::Instant;

use crate::wire::Problem;

const ANSWER_BYTES_MAX: usize = 8 << 20;
const ATTEMPTS_MAX: u32 = 64;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Connections that are used again.
pub(crate) type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A connection pool to one node.
pub(crate) struct Transport {
    pub client: Pool,
    /// Without a slash at the end.
    pub base: String,
    /// Marked sensitive, so that it is not printed.
    pub authorization: Option<header::HeaderValue>,
}

/// What is asked for.
pub(crate) struct Ask {
    pub method: Method,
    pub path: String,
    pub body: Option<Bytes>,
    /// Most time for one attempt.
    pub attempt: Duration,
    /// Most time for all of them, waits included.
    pub patience: Duration,
}

/// What came of a call.
pub(crate) struct Call {
    /// The last attempt.
    pub last: Result<Answer, Fault>,
    /// True if an attempt may have reached the node without an answer coming back.
    pub may_have_arrived: bool,
}

/// An HTTP answer, whole.
pub(crate) struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

/// Why an attempt has no answer.
pub(crate) enum Fault {
    /// It certainly did not leave this process.
    NotSent(String),
    /// It may have arrived.
    Lost(String),
}

/// Whether to try again, as far as the node's part is concerned.
enum Next {
    Enough,
    /// Nothing has happened: try again.
    Again(Option<Duration>),
    /// It may have arrived: try again.
    AgainLost,
}

impl Transport {
    pub async fn call(&self, ask: &Ask) -> Call {
        let deadline = Instant::now() + ask.patience;
        let mut may_have_arrived = false;
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let left = deadline.saturating_duration_since(Instant::now());
            // The first attempt is always made in full: no patience means no retries.
            let within = if attempt == 1 { ask.attempt } else { ask.attempt.min(left) };
            let last = self.attempt(ask, within).await;
            let pause = match next(&last) {
                Next::Enough => return Call { last, may_have_arrived },
                Next::Again(asked) => asked.unwrap_or_else(|| jitter(wait)),
                Next::AgainLost => {
                    may_have_arrived = true;
                    jitter(wait)
                }
            };
            if attempt >= ATTEMPTS_MAX || Instant::now() + pause >= deadline {
                return Call { last, may_have_arrived };
            }
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        unreachable!("the loop ends by returning");
    }

    async fn attempt(&self, ask: &Ask, within: Duration) -> Result<Answer, Fault> {
        let request = self.request(ask).map_err(|e| Fault::NotSent(e.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|e| {
                let why = chain(&e);
                if e.is_connect() { Fault::NotSent(why) } else { Fault::Lost(why) }
            })?;
            let status = answer.status().as_u16();
            let retry_after = seconds(answer.headers().get(header::RETRY_AFTER));
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(|e| Fault::Lost(e.to_string()))?.to_bytes();
            Ok(Answer { status, retry_after, body })
        };
        match tokio::time::timeout(within, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Lost(format!("no answer within {} ms", within.as_millis()))),
        }
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let uri = format!("{}{}", self.base, ask.path);
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(ask.body.clone().unwrap_or_default()))
    }
}

impl Answer {
    /// The problem in it; `None` if this is not the word of a node.
    pub fn problem(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok()
    }
}

fn next(last: &Result<Answer, Fault>) -> Next {
    match last {
        Err(Fault::NotSent(_)) => Next::Again(None),
        Err(Fault::Lost(_)) => Next::AgainLost,
        // Only a node's own word proves that nothing happened; a proxy's 503 does not.
        Ok(answer) if matches!(answer.status, 429 | 503) && answer.problem().is_some() => {
            Next::Again(answer.retry_after)
        }
        Ok(answer) if answer.status == 408 || answer.status >= 500 => Next::AgainLost,
        Ok(_) => Next::Enough,
    }
}

pub(crate) fn seconds(value: Option<&header::HeaderValue>) -> Option<Duration> {
    Some(Duration::from_secs(value?.to_str().ok()?.trim().parse().ok()?))
}

/// Half to all of it, so that callers who failed together do not come back together.
fn jitter(wait: Duration) -> Duration {
    let chance = uuid::Uuid::now_v7().as_u128() as u32 % 1000;
    wait / 2 + wait * chance / 2000
}

pub(crate) fn chain(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}
