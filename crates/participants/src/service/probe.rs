//! Whether a service is there, and what is wrong with how it is reached.

use std::{net::IpAddr, time::Duration};

use hyper::{HeaderMap, Method, Uri};
use tokio::{net::TcpStream, time::timeout};

use super::{SCHEME_PREFIX, request::check_path};
use crate::{
    Finding, Level, Settings, Unreachable,
    http::{Answer, CallError, Caller},
    refusal::bounded,
};

/// Longest answer of a health check that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Looks whether a service is there.
pub(super) struct Probe {
    caller: Caller,
    headers: HeaderMap,
    health_path: Option<String>,
    host: String,
    port: u16,
    is_encrypted: bool,
    connect_timeout: Duration,
    within: Duration,
}

impl Probe {
    pub(super) fn new(
        caller: Caller,
        headers: HeaderMap,
        settings: &Settings,
    ) -> Result<Self, String> {
        let url = settings.url.strip_prefix(SCHEME_PREFIX).unwrap_or(&settings.url);
        let url: Uri = url.parse().map_err(|_| "the address is not a URL".to_owned())?;
        let is_encrypted = url.scheme_str() == Some("https");
        let host = url.host().ok_or("the address has no host")?;
        let health_path = settings.service.health_path.clone();
        if let Some(path) = &health_path {
            check_path(path).map_err(|why| format!("health_path: {why}"))?;
        }
        Ok(Self {
            caller,
            headers,
            health_path,
            host: host.trim_matches(['[', ']']).into(),
            port: url.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 }),
            is_encrypted,
            connect_timeout: settings.connect_timeout,
            within: settings.statement_timeout,
        })
    }

    /// Cheap: one request, or a connection that is closed again.
    pub(super) async fn look(&self) -> Result<(), Unreachable> {
        if let Some(path) = &self.health_path {
            return self.is_well(path).await;
        }
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        match timeout(self.connect_timeout, connecting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(Unreachable(bounded(why.to_string()))),
            Err(_) => Err(Unreachable("no connection in time".into())),
        }
    }

    async fn is_well(&self, path: &str) -> Result<(), Unreachable> {
        let answer = self.ask(Method::GET, path).await;
        let status = answer.map_err(|error| Unreachable(bounded(error.to_string())))?.status;
        match status.is_success() {
            true => Ok(()),
            false => Err(Unreachable(format!("GET {path} answered {status}"))),
        }
    }

    pub(super) async fn check(&self, is_signed: bool) -> Vec<Finding> {
        let mut found = vec![self.check_reachable().await];
        let is_near = self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !self.is_encrypted && !is_near {
            let message = "calls, and the secrets in them, travel unencrypted";
            found.push(finding(Level::Warning, "tls_off", message, "use `service+https://`"));
        }
        if !is_signed {
            let message = "calls are not signed: the service cannot tell them from anybody else's";
            let cure = "set a signing secret, and let the service check the signature \
                        (docs/services.md)";
            found.push(finding(Level::Warning, "signing_off", message, cure));
        }
        found
    }

    /// Without a health path any answer will do: it was reached, and TLS with it.
    async fn check_reachable(&self) -> Finding {
        let looked = match &self.health_path {
            Some(path) => self.is_well(path).await.map(|()| format!("GET {path} succeeds")),
            None => match self.ask(Method::HEAD, "/").await {
                Ok(_) => {
                    Ok("it answers; whether it is well is not known without a health path".into())
                }
                Err(error) => Err(Unreachable(bounded(error.to_string()))),
            },
        };
        match looked {
            Ok(message) => finding(Level::Ok, "reachable", message, ""),
            Err(Unreachable(why)) => {
                let cure = "check the address, the certificates, and that the service runs";
                finding(Level::Error, "unreachable", why, cure)
            }
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Answer, CallError> {
        let request = self.caller.request(method, path, self.headers.clone(), Vec::new());
        let request = request.map_err(CallError::NotSent)?;
        self.caller.send(request, ANSWER_BYTES_MAX, self.within).await
    }
}

fn finding(level: Level, code: &'static str, message: impl Into<String>, cure: &str) -> Finding {
    Finding { level, code, message: message.into(), cure: cure.into() }
}
