//! What the clients of a node and of a shard share: an address, a patience, and what answers mean.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{Method, header::HeaderValue};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::de::DeserializeOwned;

use crate::{
    Error, Handfast, Shard,
    http::{Answer, Ask, Call, Fault, Pool, Transport},
};

const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPT_LEAST: Duration = Duration::from_secs(1);
const ATTEMPT_MOST: Duration = Duration::from_secs(10);

/// How to reach a node.
#[must_use]
pub struct Builder {
    url: String,
    token: Option<String>,
    ca_file: Option<PathBuf>,
    timeout: Duration,
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.into(), token: None, ca_file: None, timeout: TIMEOUT }
    }

    /// The bearer token, where the node asks for one.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// A PEM file of the authorities to trust, instead of the public ones.
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// How long a call goes on trying when the node is away, busy or silent; for a transaction
    /// its own timeout comes on top. Default 10 s; zero means one attempt.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the client. Does not connect: the node may be down now.
    ///
    /// # Errors
    /// The address, token or CA file cannot be used.
    pub fn build(self) -> Result<Handfast, Error> {
        self.link().map(Handfast::new)
    }

    /// Makes a client of a shard. Does not connect either.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_shard(self) -> Result<Shard, Error> {
        self.link().map(Shard::new)
    }

    fn link(self) -> Result<Link, Error> {
        let base = address(&self.url)?;
        let authorization = self.token.map(|token| bearer(&token)).transpose()?;
        let client = pool(self.ca_file)?;
        let transport = Arc::new(Transport { client, base, authorization });
        Ok(Link { transport, timeout: self.timeout })
    }
}

/// An address to which paths are added.
pub(crate) fn address(url: &str) -> Result<String, Error> {
    let base = url.trim_end_matches('/').to_owned();
    let uri: hyper::Uri = base.parse().map_err(|e| Error::Setup(format!("`{base}`: {e}")))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Error::Setup("an address holds no user or password; use a token".into()));
    }
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
        return Err(Error::Setup(format!("`{base}`: use http://host:port or https://host")));
    }
    Ok(base)
}

/// A node or shard, reached over HTTP.
#[derive(Clone)]
pub(crate) struct Link {
    pub transport: Arc<Transport>,
    pub timeout: Duration,
}

impl Link {
    pub async fn read<T: DeserializeOwned>(&self, path: String) -> Result<T, Error> {
        self.parsed(self.call(Method::GET, path, None, self.timeout).await)
    }

    /// Whether it answers at `path` with success; one attempt.
    pub async fn probe(&self, path: &str) -> Result<(), Error> {
        let call = self.call(Method::GET, path.into(), None, Duration::ZERO).await;
        self.done(call)
    }

    /// Success, whatever the answer says.
    pub fn done(&self, call: Call) -> Result<(), Error> {
        let answer = self.answered(call)?;
        match answer.status {
            200..300 => Ok(()),
            status => Err(self.error(&answer, status)),
        }
    }

    pub async fn call(
        &self,
        method: Method,
        path: String,
        body: Option<Bytes>,
        patience: Duration,
    ) -> Call {
        let ask = Ask { method, path, body, attempt: self.attempt(), patience };
        self.transport.call(&ask).await
    }

    /// A call whose answer takes the node that long by itself.
    pub async fn call_within(
        &self,
        method: Method,
        path: String,
        body: Option<Bytes>,
        own: Duration,
    ) -> Call {
        let attempt = own.saturating_add(self.attempt());
        let patience = own.saturating_add(self.timeout);
        self.transport.call(&Ask { method, path, body, attempt, patience }).await
    }

    /// Most time for one attempt at a question that is answered at once.
    pub fn attempt(&self) -> Duration {
        self.timeout.clamp(ATTEMPT_LEAST, ATTEMPT_MOST)
    }

    pub fn parsed<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let answer = self.answered(call)?;
        let url = self.transport.base.clone();
        match answer.status {
            200..300 => serde_json::from_slice(&answer.body)
                .map_err(|e| Error::NotHandfast { url, why: e.to_string() }),
            status => Err(self.error(&answer, status)),
        }
    }

    fn answered(&self, call: Call) -> Result<Answer, Error> {
        let url = self.transport.base.clone();
        call.last.map_err(|fault| match fault {
            Fault::NotSent(why) if !call.may_have_arrived => Error::Unreachable { url, why },
            Fault::NotSent(why) | Fault::Lost(why) => Error::NoAnswer { url, why },
        })
    }

    pub fn error(&self, answer: &Answer, status: u16) -> Error {
        let url = self.transport.base.clone();
        match answer.problem() {
            Some(problem) => Error::of(problem, status),
            None => Error::NotHandfast { url, why: format!("HTTP status {status}") },
        }
    }
}

/// Connections to whoever is asked for.
pub(crate) fn pool(ca_file: Option<PathBuf>) -> Result<Pool, Error> {
    let tls = tls(ca_file)?;
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_nodelay(true);
    http.enforce_http(false);
    let connector = tls.https_or_http().enable_http1().wrap_connector(http);
    let pool = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector);
    Ok(pool)
}

pub(crate) fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
        .map_err(|_| Error::Setup("the token holds characters that HTTP does not allow".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

type Tls = HttpsConnectorBuilder<hyper_rustls::builderstates::WantsSchemes>;

fn tls(ca_file: Option<PathBuf>) -> Result<Tls, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let odd = |e: rustls::Error| Error::Setup(e.to_string());
    let builder = HttpsConnectorBuilder::new();
    let Some(file) = ca_file else {
        return builder.with_provider_and_webpki_roots(provider).map_err(odd);
    };
    let odd_file = |e: String| Error::Setup(format!("CA file {}: {e}", file.display()));
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&file).map_err(|e| odd_file(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| odd_file(e.to_string()))?;
        roots.add(certificate).map_err(|e| odd_file(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(odd_file("it holds no certificate".into()));
    }
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(odd)?;
    Ok(builder.with_tls_config(config.with_root_certificates(roots).with_no_client_auth()))
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).expect("wire types have string keys only").into()
}

/// Percent-encodes all that has a meaning in a path or a query.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' => {
                escaped.push(byte.into());
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
