//! Calls over HTTP: a few connections that are kept, bounded bodies, bounded time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

/// Longest body, of a request and of an answer.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// An idle connection is closed before the other side's patience ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls one service. A token is never shown.
pub struct Caller {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
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
        let base = settings.url.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|_| "the address is not a URL".to_owned())?;
        let authority = uri.authority().ok_or("the address has no host")?;
        if authority.as_str().contains('@') {
            return Err("the address holds a user or password; use a bearer token".into());
        }
        if uri.query().is_some() {
            return Err("the address has a query".into());
        }
        let authorization = settings.token.map(bearer).transpose()?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(settings.tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(settings.connections_max)
            .build(connector);
        let places = Semaphore::new(settings.connections_max);
        Ok(Self { client, base: base.into(), authorization, places })
    }

    /// Sends a request and reads the answer, within a time.
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
        if body.len() > BODY_BYTES_MAX {
            return Err(CallError::NotSent(format!("the request exceeds {BODY_BYTES_MAX} bytes")));
        }
        let request = self.request(method, path, body)?;
        let until = Instant::now() + within;
        let place = timeout_at(until, self.places.acquire()).await;
        let Ok(_place) = place else {
            return Err(CallError::Busy);
        };
        match timeout_at(until, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::NoAnswer("no answer in time".into())),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), CallError> {
        let answer = self.client.request(request).await.map_err(|error| {
            let why = with_causes(&error);
            if error.is_connect() { CallError::NotSent(why) } else { CallError::NoAnswer(why) }
        })?;
        let status = answer.status();
        match Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) => Err(CallError::NoAnswer(format!("the answer broke off: {error}"))),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, CallError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body));
        request.body(body).map_err(|error| CallError::NotSent(error.to_string()))
    }
}

fn bearer(token: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| "the token holds what a header cannot".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
