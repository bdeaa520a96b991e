//! A call as a service gets it, and the way there by HTTP.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;

use crate::{
    Error,
    barrier::{ANSWER_BYTES_MAX, CallKind},
    http::{Pool, chain, seconds},
    link::{address, bearer, pool},
};

const WITHIN: Duration = Duration::from_secs(10);

/// A call of a branch, as Handfast makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The resource's name.
    pub resource: String,
    /// The transaction.
    pub gid: String,
    /// The branch.
    pub branch: String,
    /// What is called.
    pub kind: CallKind,
    /// How many times, from 1.
    pub attempt: u32,
    /// Such as `POST`.
    pub method: String,
    /// Starts with `/`.
    pub path: String,
    /// The call's own; [`headers`](Self::headers) has Handfast's too.
    pub headers: BTreeMap<String, String>,
    /// JSON.
    pub body: Option<Value>,
}

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON; null if it is empty, and a string if it is something else.
    pub body: Value,
    /// When to come again, of an answer that says so.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The call did not get there.
    NotSent(String),
    /// It may have got there; nobody knows.
    Lost(String),
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::NotSent(why) | Self::Lost(why)) = self;
        f.write_str(why)
    }
}

impl Answer {
    /// With a status and a body.
    pub fn new(status: u16, body: impl Into<Value>) -> Self {
        Self { status, body: body.into(), retry_after: None }
    }
}

impl Request {
    /// All headers, for [`barrier::Call::from_headers`](crate::barrier::Call::from_headers).
    ///
    /// # Errors
    /// A header of the call's own cannot be sent.
    pub fn headers(&self) -> Result<HeaderMap, String> {
        let kind = self.kind.name();
        let (attempt, key) = (self.attempt.to_string(), format!("{}/{kind}", self.branch));
        let ours = [
            ("handfast-transaction", self.gid.as_str()),
            ("handfast-branch", &self.branch),
            ("handfast-call", kind),
            ("handfast-attempt", &attempt),
            ("idempotency-key", &key),
        ];
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut headers = HeaderMap::new();
        for (name, value) in own.chain(ours) {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => headers.insert(name, value),
                _ => return Err(format!("the header `{name}` cannot be sent")),
            };
        }
        Ok(headers)
    }
}

/// Services, reached over HTTP.
pub struct Services {
    pool: Pool,
    bases: BTreeMap<String, String>,
    /// Marked sensitive, so that it is not printed.
    authorization: Option<HeaderValue>,
    within: Duration,
}

impl Services {
    /// None yet.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let (bases, authorization, within) = (BTreeMap::new(), None, WITHIN);
        Ok(Self { pool: pool(None)?, bases, authorization, within })
    }

    /// The service of the resource `name` is at `url`: `http://host:port/base`.
    ///
    /// # Errors
    /// That is no such address.
    pub fn at(mut self, name: &str, url: &str) -> Result<Self, Error> {
        self.bases.insert(name.into(), address(url)?);
        Ok(self)
    }

    /// They want this bearer token.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn token(mut self, token: &str) -> Result<Self, Error> {
        self.authorization = Some(bearer(token)?);
        Ok(self)
    }

    /// Most time for one call. Default 10 s.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Calls one.
    ///
    /// # Errors
    /// No answer came, or it is longer than 64 KiB; why.
    pub async fn call(&self, request: Request) -> Result<Answer, Unanswered> {
        let Request { resource, method, path, body, .. } = &request;
        let headers = request.headers().map_err(Unanswered::NotSent)?;
        self.send(resource, method, path, body.as_ref(), headers).await
    }

    /// Looks at a service, without the headers of a branch.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn look(&self, resource: &str, path: &str) -> Result<Answer, Unanswered> {
        self.send(resource, "GET", path, None, HeaderMap::new()).await
    }

    async fn send(
        &self,
        resource: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: HeaderMap,
    ) -> Result<Answer, Unanswered> {
        let base = self.bases.get(resource);
        let nowhere = || Unanswered::NotSent(format!("no address is given for `{resource}`"));
        let base = base.ok_or_else(nowhere)?;
        let mut request = hyper::Request::builder().method(method).uri(format!("{base}{path}"));
        if let Some(own) = request.headers_mut() {
            own.extend(headers);
            if let Some(value) = &self.authorization {
                own.insert(AUTHORIZATION, value.clone());
            }
            if body.is_some() {
                let json = HeaderValue::from_static("application/json");
                own.insert(hyper::header::CONTENT_TYPE, json);
            }
        }
        let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = request.body(Full::new(bytes));
        let request = request.map_err(|e| Unanswered::NotSent(e.to_string()))?;
        let exchange = async {
            let answer = self.pool.request(request).await.map_err(|e| match e.is_connect() {
                true => Unanswered::NotSent(chain(&e)),
                false => Unanswered::Lost(chain(&e)),
            })?;
            let status = answer.status().as_u16();
            let retry_after = seconds(answer.headers().get(RETRY_AFTER));
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(|e| Unanswered::Lost(e.to_string()))?;
            let body = body.to_bytes();
            Ok(Answer { status, retry_after, body: read(&body) })
        };
        let late = format!("no answer within {} ms", self.within.as_millis());
        let late = |_| Err(Unanswered::Lost(late));
        tokio::time::timeout(self.within, exchange).await.unwrap_or_else(late)
    }
}

fn read(body: &[u8]) -> Value {
    match body {
        [] => Value::Null,
        _ => serde_json::from_slice(body)
            .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into()),
    }
}
