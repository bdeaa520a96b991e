//! Signatures: whether a call comes from Handfast, now and unchanged.
//!
//! A resource that has a signing secret sends `Handfast-Signature: t=…,v1=…` with every call:
//! the time in seconds since 1970, and in hexadecimal the HMAC-SHA-256, under that secret, of
//! eight lines with line feeds between them and none at the end:
//!
//! ```text
//! the time           1700000000
//! the method         POST
//! path and query     /shop/bookings?room=7
//! the gid            order-42
//! the branch         hf1_bank_1_2s_0
//! the call           do
//! the attempt        3
//! SHA-256 of body    7f… in hexadecimal
//! ```
//!
//! Every attempt is signed anew. None of the lines can hold a line feed, so none can pass for
//! another.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use hyper::{HeaderMap, Method};
use sha2::{Digest, Sha256};

use crate::barrier::{
    BadCall,
    call::{ATTEMPT, BRANCH, CALL, TRANSACTION, one},
};

#[cfg(feature = "barrier-axum")]
mod axum;

#[cfg(feature = "barrier-axum")]
pub use self::axum::{Refused, Signed};

/// By how much clocks may differ, and how long a call may be on its way, if nothing else is said.
pub const TOLERANCE: Duration = Duration::from_secs(300);

const SIGNATURE: &str = "handfast-signature";

/// Why a request is not taken for a call of Handfast's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSignature {
    /// A header is missing, repeated or wrong.
    #[error(transparent)]
    Header(#[from] BadCall),
    /// It was signed too long ago, or the clocks differ by too much.
    #[error("it was signed {0} s from now")]
    Stale(u64),
    /// It was signed with another secret, or what was signed is not what came.
    #[error("the signature does not fit the request")]
    Wrong,
}

/// Verifies the signature of a request: `path` with its query, as it was received.
///
/// The comparison takes the same time wherever the first difference is.
///
/// # Errors
/// The request is not Handfast's, or not now, or was changed: answer 401, and do nothing.
pub fn verify(
    secret: &[u8],
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    body: &[u8],
    now: SystemTime,
    tolerance: Duration,
) -> Result<(), BadSignature> {
    let signature = Signature::read(one(headers, SIGNATURE)?)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let apart = now.abs_diff(signature.seconds);
    if apart > tolerance.as_secs() {
        return Err(BadSignature::Stale(apart));
    }
    let mut code = Hmac::<Sha256>::new_from_slice(secret).expect("a key may have any length");
    code.update(format!("{}\n{method}\n{path}\n", signature.seconds).as_bytes());
    for name in [TRANSACTION, BRANCH, CALL, ATTEMPT] {
        code.update(one(headers, name)?.as_bytes());
        code.update(b"\n");
    }
    code.update(hex(&Sha256::digest(body)).as_bytes());
    code.verify_slice(&signature.code).map_err(|_| BadSignature::Wrong)
}

/// What a service checks calls with. The secrets are never shown.
#[derive(Clone)]
pub struct Verifier {
    secrets: Vec<Vec<u8>>,
    tolerance: Duration,
}

impl Verifier {
    /// Takes what was signed with this secret, at most [`TOLERANCE`] from now.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self { secrets: vec![secret.into()], tolerance: TOLERANCE }
    }

    /// Takes what was signed with this secret too: while a new one replaces it.
    pub fn or(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Takes what was signed so long from now.
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// As [`verify`], with the clock of this machine.
    ///
    /// # Errors
    /// As there.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<(), BadSignature> {
        let (now, tolerance) = (SystemTime::now(), self.tolerance);
        let verify = |secret: &Vec<u8>| verify(secret, headers, method, path, body, now, tolerance);
        let mut found = Err(BadSignature::Wrong);
        for secret in &self.secrets {
            found = verify(secret);
            if found != Err(BadSignature::Wrong) {
                break;
            }
        }
        found
    }
}

/// The header.
struct Signature {
    seconds: u64,
    code: [u8; 32],
}

impl Signature {
    fn read(text: &str) -> Result<Self, BadCall> {
        let wrong = BadCall::Invalid { name: SIGNATURE, must: "`t=` seconds `,v1=` 64 digits" };
        let read = || {
            let (seconds, code) = text.strip_prefix("t=")?.split_once(",v1=")?;
            let is_number = !seconds.is_empty() && seconds.bytes().all(|b| b.is_ascii_digit());
            let seconds = seconds.parse().ok().filter(|_| is_number)?;
            Some(Self { seconds, code: unhex(code)? })
        };
        read().ok_or(wrong)
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes =
        pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok());
    if rest.is_empty() { bytes.collect::<Option<Vec<u8>>>()?.try_into().ok() } else { None }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("half a byte is a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
