//! Signatures, by which a service knows that a call comes from us, now and unchanged.
//!
//! `handfast_client::signature` checks them, and `docs/services.md` says what is signed. Both
//! sides are held to the same vector by their tests.

use std::{
    fmt::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit, Mac};
use hyper::{
    Request,
    header::{HeaderName, HeaderValue},
};
use sha2::{Digest, Sha256};

use super::request::{ATTEMPT, BRANCH, CALL, TRANSACTION};

const SIGNATURE: HeaderName = HeaderName::from_static("handfast-signature");
/// Shortest secret: 128 bits, if they are random.
const SECRET_BYTES_MIN: usize = 16;

/// Signs requests. The secret is never shown.
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(super) fn new(secret: &str) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(format!("the signing secret is shorter than {SECRET_BYTES_MIN} bytes"));
        }
        Ok(Self(Hmac::new_from_slice(secret.as_bytes()).expect("a key may have any length")))
    }

    /// Signs a request that has all its other headers, and this body.
    pub(super) fn sign<B>(&self, request: &mut Request<B>, body_sha256: &str, now: SystemTime) {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let mut text = format!("{seconds}\n{}\n{path}\n", request.method());
        for name in [TRANSACTION, BRANCH, CALL, ATTEMPT] {
            text += request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
            text.push('\n');
        }
        text += body_sha256;
        let code = self.0.clone().chain_update(text).finalize().into_bytes();
        let value = HeaderValue::try_from(format!("t={seconds},v1={}", hex(&code)));
        let value = value.expect("digits and letters may stand in a header");
        request.headers_mut().insert(SIGNATURE, value);
    }
}

/// The digest of a body, as it is signed.
pub(super) fn digest(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The same vector is in the tests of `handfast-client`.
    #[test]
    fn a_request_is_signed_as_the_vector_says() {
        let mut request = Request::new(());
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = "http://127.0.0.1:1/shop/bookings?room=7".parse().expect("a URL");
        for (name, value) in
            [(TRANSACTION, "order-42"), (BRANCH, "hf1_bank_1_2s_0"), (CALL, "do"), (ATTEMPT, "3")]
        {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let signer = Signer::new("0123456789abcdef").expect("it is long enough");
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        signer.sign(&mut request, &digest(br#"{"room":7}"#), now);
        assert_eq!(
            request.headers()[SIGNATURE],
            "t=1700000000,\
             v1=9b96c3d51610c3be150990058d3b2001c4d8f81d33acab1d48b51fb7550bb927"
        );
    }
}
