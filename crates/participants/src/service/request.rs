//! The request that a call becomes, and what may not be part of it.

use std::time::SystemTime;

use bytes::Bytes;
use handfast_core::plan::Call;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request,
    header::{HeaderName, HeaderValue},
};

use super::{
    ServiceCall, ServiceSettings,
    signature::{Signer, digest},
};
use crate::http::Caller;

pub(super) const TRANSACTION: HeaderName = HeaderName::from_static("handfast-transaction");
pub(super) const BRANCH: HeaderName = HeaderName::from_static("handfast-branch");
pub(super) const CALL: HeaderName = HeaderName::from_static("handfast-call");
pub(super) const ATTEMPT: HeaderName = HeaderName::from_static("handfast-attempt");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACE: HeaderName = HeaderName::from_static("traceparent");
/// What headers of ours start with.
const OURS: &str = "handfast-";
/// Ours, or such that would make another request of it.
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Requests are kept in the log, so credentials belong into the configuration.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
/// Most headers of a call, and of a resource.
const HEADERS_MAX: usize = 64;
/// Longest path with its query.
const PATH_BYTES_MAX: usize = 8 * 1024;
/// Headers of ours in a call, and those of every request, at most.
const OUR_HEADERS: usize = 12;
/// Longest value of a header.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Makes requests of calls.
pub(super) struct Requests {
    pub(super) caller: Caller,
    /// The resource's own.
    pub(super) headers: HeaderMap,
    signer: Option<Signer>,
}

impl Requests {
    pub(super) fn new(caller: Caller, settings: &ServiceSettings) -> Result<Self, String> {
        let is_ours = |name: &str| RESERVED.contains(&name) || name.starts_with(OURS);
        let headers = headers(&settings.headers, is_ours)?;
        let signer = settings.signing_secret.as_deref().map(Signer::new).transpose()?;
        Ok(Self { caller, headers, signer })
    }

    pub(super) fn are_signed(&self) -> bool {
        self.signer.is_some()
    }

    /// The error says why it cannot be sent.
    pub(super) fn make(&self, call: ServiceCall) -> Result<Request<Full<Bytes>>, String> {
        let (method, mut headers) = checked(&call.call, &call.call.path)?;
        headers.reserve(self.headers.len() + OUR_HEADERS);
        // What is configured wins over what the caller of the transaction asks for.
        headers.extend(self.headers.clone());
        let (branch, verb) = (call.branch.to_string(), call.verb.name());
        headers.insert(KEY, value([&branch, "/", verb].concat())?);
        headers.insert(TRANSACTION, value(call.gid)?);
        headers.insert(BRANCH, value(branch)?);
        headers.insert(CALL, HeaderValue::from_static(verb));
        headers.insert(ATTEMPT, HeaderValue::from(call.attempt));
        if !call.trace.is_empty() {
            headers.insert(TRACE, value(call.trace)?);
        }
        let body = call.call.body.into_bytes();
        let signing = self.signer.as_ref().map(|signer| (signer, digest(&body)));
        let mut request = self.caller.request(method, &call.call.path, headers, body)?;
        if let Some((signer, body_sha256)) = signing {
            signer.sign(&mut request, &body_sha256, SystemTime::now());
        }
        Ok(request)
    }
}

/// Checks a call whose templates may, but need not, be filled in.
///
/// # Errors
/// What is wrong with it; it can never be sent.
pub fn check_call(call: &Call) -> Result<(), String> {
    checked(call, &filled_in(&call.path)).map(drop)
}

/// A path with something, whatever it is, in the place of every `{{name}}`.
fn filled_in(mut path: &str) -> String {
    let mut filled = String::new();
    while let Some((before, (_, after))) =
        path.split_once("{{").and_then(|(before, from)| Some((before, from.split_once("}}")?)))
    {
        filled += before;
        filled.push('0');
        path = after;
    }
    filled + path
}

/// With this path in the place of its own.
fn checked(call: &Call, path: &str) -> Result<(Method, HeaderMap), String> {
    let method = Method::from_bytes(call.method.as_bytes());
    let method = method.ok().filter(|method| *method != Method::CONNECT);
    let method = method.ok_or_else(|| format!("{:?} is not a method", call.method))?;
    check_path(path)?;
    let headers = headers(&call.headers, |name| {
        RESERVED.contains(&name) || CREDENTIALS.contains(&name) || name.starts_with(OURS)
    })?;
    Ok((method, headers))
}

/// A path must name the same thing to us, to proxies and to the service.
pub(super) fn check_path(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err("the path does not start with `/`".into());
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(format!("the path is longer than {PATH_BYTES_MAX} bytes"));
    }
    if let Some(odd) = path.chars().find(|c| !c.is_ascii_graphic() || "#\\".contains(*c)) {
        return Err(format!("the path holds {odd:?}"));
    }
    let plain = path.split('?').next().unwrap_or_default();
    match plain.split('/').find(|segment| matches!(*segment, "." | "..")) {
        Some(dots) => Err(format!("the path holds the segment `{dots}`")),
        None => Ok(()),
    }
}

fn headers(
    from: &[(String, String)],
    is_reserved: impl Fn(&str) -> bool,
) -> Result<HeaderMap, String> {
    if from.len() > HEADERS_MAX {
        return Err(format!("there are more than {HEADERS_MAX} headers"));
    }
    let mut headers = HeaderMap::with_capacity(from.len());
    for (name, text) in from {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is not the name of a header"))?;
        if is_reserved(name.as_str()) {
            return Err(format!("the header `{name}` is not the call's to set"));
        }
        let value = value(text.clone()).map_err(|why| format!("the header `{name}`: {why}"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Control characters are refused: a line break would begin another header. No text is shown, for
/// it may be secret.
fn value(text: String) -> Result<HeaderValue, String> {
    if text.len() > HEADER_BYTES_MAX {
        return Err(format!("it is longer than {HEADER_BYTES_MAX} bytes"));
    }
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| "it holds what is not visible ASCII, such as a line break".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
