//! Calls over HTTP: a few connections that are kept, bounded bodies, bounded time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
    http::uri::PathAndQuery,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::pool::Pool;

/// Longest body, of a request and of an answer.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Calls one service. A token is never shown.
pub struct Caller {
    pool: Pool,
    host: HeaderValue,
    /// What every path starts with; without a `/` at its end.
    base_path: String,
    authorization: Option<HeaderValue>,
    places: Semaphore,
}

/// How to call.
pub struct CallSettings<'a> {
    /// `http://` or `https://`, host, port, and a path if the service is not at the root.
    pub url: &'a str,
    /// The bearer token.
    pub token: Option<&'a str>,
    /// Whom to trust.
    pub tls: ClientConfig,
    /// Most calls at once.
    pub connections_max: usize,
    /// Most time to make a connection.
    pub connect_timeout: Duration,
}

/// What a service answers.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; empty if it is longer than was to be read.
    pub body: Bytes,
    /// Whether it is not.
    pub is_whole: bool,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing of the request left this process.
    #[error("{0}")]
    NotSent(String),
    /// Nothing was sent: as many calls as may be were under way here.
    #[error("all connections are busy")]
    Busy,
    /// It may have arrived and may have been done.
    #[error("{0}")]
    NoAnswer(String),
}

impl Caller {
    /// Makes no connection yet.
    ///
    /// # Errors
    /// What is wrong with the settings, without secrets.
    pub fn new(settings: CallSettings<'_>) -> Result<Self, String> {
        let base: Uri = settings.url.parse().map_err(|_| "the address is not a URL".to_owned())?;
        let authority = base.authority().ok_or("the address has no host")?;
        if authority.as_str().contains('@') {
            return Err("the address holds a user or password; use a bearer token".into());
        }
        if base.query().is_some() {
            return Err("the address has a query".into());
        }
        // The port goes without saying where it is the scheme's own.
        let own_port = if base.scheme_str() == Some("https") { 443 } else { 80 };
        let named = match base.port_u16() {
            Some(port) if port == own_port => authority.host(),
            _ => authority.as_str(),
        };
        let host = HeaderValue::from_str(named);
        let host = host.map_err(|_| "the address is not a URL".to_owned())?;
        let base_path = base.path().trim_end_matches('/').to_owned();
        let authorization = settings.token.map(bearer).transpose()?;
        let pool = Pool::new(connector(settings.tls, settings.connect_timeout), base);
        let places = Semaphore::new(settings.connections_max);
        Ok(Self { pool, host, base_path, authorization, places })
    }

    /// Sends JSON, or nothing, and reads an answer of at most [`BODY_BYTES_MAX`], within a time.
    ///
    /// # Errors
    /// There is no answer; whether the request arrived is said.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let request = self.request(method, path, HeaderMap::new(), body);
        let request = request.map_err(CallError::NotSent)?;
        let answer = self.send(request, BODY_BYTES_MAX, within).await?;
        if answer.is_whole {
            return Ok((answer.status, answer.body));
        }
        Err(CallError::NoAnswer(format!("the answer is longer than {BODY_BYTES_MAX} bytes")))
    }

    /// A request for a path below the address. The bearer token wins over `headers`; a body is JSON
    /// if they do not say otherwise.
    ///
    /// # Errors
    /// What is wrong with it; it cannot be sent.
    pub fn request(
        &self,
        method: Method,
        path: &str,
        mut headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, String> {
        if body.len() > BODY_BYTES_MAX {
            return Err(format!("the request exceeds {BODY_BYTES_MAX} bytes"));
        }
        // Only a path: nothing in it can change where the request goes.
        let path = PathAndQuery::try_from([&self.base_path, path].concat());
        let path = path.map_err(|why| format!("the path cannot be sent: {why}"))?;
        headers.insert(HOST, self.host.clone());
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if !body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = path.into();
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Sends a request and reads an answer whose body has at most so many bytes, within a time,
    /// some of which it may have to wait for a place.
    ///
    /// # Errors
    /// There is no answer; whether the request arrived is said.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        body_bytes_max: usize,
        within: Duration,
    ) -> Result<Answer, CallError> {
        let until = Instant::now() + within;
        let place = timeout_at(until, self.places.acquire()).await;
        let Ok(_place) = place else {
            return Err(CallError::Busy);
        };
        let mut may_be_sent = false;
        let exchange = self.exchange(request, body_bytes_max, &mut may_be_sent);
        match timeout_at(until, exchange).await {
            Ok(answer) => answer,
            Err(_) if may_be_sent => Err(CallError::NoAnswer("no answer in time".into())),
            Err(_) => Err(CallError::NotSent("no connection in time".into())),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        body_bytes_max: usize,
        may_be_sent: &mut bool,
    ) -> Result<Answer, CallError> {
        let (connection, answer) = self.pool.send(request, may_be_sent).await?;
        let (parts, body) = answer.into_parts();
        let (body, is_whole) = read(body, body_bytes_max).await?;
        if is_whole {
            self.pool.give_back(connection);
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body, is_whole })
    }
}

/// A body, and whether that is all of it: what is beyond the bound is not read.
async fn read(mut body: Incoming, bytes_max: usize) -> Result<(Bytes, bool), CallError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broke_off = |error| CallError::NoAnswer(format!("the answer broke off: {error}"));
        let Ok(data) = frame.map_err(broke_off)?.into_data() else { continue };
        let room = bytes_max - read.len();
        read.extend_from_slice(&data[..room.min(data.len())]);
        if data.len() > room {
            return Ok((read.freeze(), false));
        }
    }
    Ok((read.freeze(), true))
}

/// Makes connections.
pub(super) fn connector(
    tls: ClientConfig,
    connect_timeout: Duration,
) -> HttpsConnector<HttpConnector> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}

fn bearer(token: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| "the token holds what a header cannot".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
