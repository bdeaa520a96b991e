//! Signatures, and what they keep out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{Router, body::Body, routing::post};
use handfast_client::{
    barrier::{BadCall, Call},
    signature::{BadSignature, Signed, TOLERANCE, Verifier, verify},
};
use http_body_util::BodyExt;
use hyper::{HeaderMap, Method, Request};
use tower::ServiceExt;

const SECRET: &[u8] = b"0123456789abcdef";
const SIGNED_AT: u64 = 1_700_000_000;
const PATH: &str = "/shop/bookings?room=7";
const BODY: &[u8] = br#"{"room":7}"#;
/// The same vector is in the tests of `handfast-participants`, which signs.
const VECTOR: &str =
    "t=1700000000,v1=9b96c3d51610c3be150990058d3b2001c4d8f81d33acab1d48b51fb7550bb927";
const HEADERS: [(&str, &str); 6] = [
    ("handfast-transaction", "order-42"),
    ("handfast-branch", "hf1_bank_1_2s_0"),
    ("handfast-call", "do"),
    ("handfast-attempt", "3"),
    ("idempotency-key", "hf1_bank_1_2s_0/do"),
    ("handfast-signature", VECTOR),
];

#[test]
fn what_was_signed_is_taken_for_as_long_as_said() {
    for (now, taken) in [
        (SIGNED_AT, Ok(())),
        (SIGNED_AT + 60, Ok(())),
        (SIGNED_AT - 60, Ok(())),
        (SIGNED_AT + 61, Err(BadSignature::Stale(61))),
        (SIGNED_AT - 61, Err(BadSignature::Stale(61))),
        (0, Err(BadSignature::Stale(SIGNED_AT))),
    ] {
        let now = UNIX_EPOCH + Duration::from_secs(now);
        let tolerance = Duration::from_secs(60);
        let found = verify(SECRET, &headers(&HEADERS), &Method::POST, PATH, BODY, now, tolerance);
        assert_eq!(found, taken, "{now:?}");
    }
}

#[test]
fn what_was_changed_is_not() {
    let right = || (SECRET, headers(&HEADERS), Method::POST, PATH, BODY);
    let with = |name: &str, value: &str| {
        let mut changed = headers(&HEADERS);
        changed.insert(hyper::header::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        changed
    };
    let found = |(secret, headers, method, path, body): (&[u8], HeaderMap, Method, &str, &[u8])| {
        let now = UNIX_EPOCH + Duration::from_secs(SIGNED_AT);
        verify(secret, &headers, &method, path, body, now, TOLERANCE)
    };
    assert_eq!(found(right()), Ok(()));
    let flipped = format!("{}6", &VECTOR[..VECTOR.len() - 1]);
    for changed in [
        (&b"another secret"[..], headers(&HEADERS), Method::POST, PATH, BODY),
        (SECRET, headers(&HEADERS), Method::PUT, PATH, BODY),
        (SECRET, headers(&HEADERS), Method::POST, "/shop/bookings?room=8", BODY),
        (SECRET, headers(&HEADERS), Method::POST, PATH, b"{\"room\":8}"),
        (SECRET, headers(&HEADERS), Method::POST, PATH, b""),
        (SECRET, with("handfast-transaction", "order-43"), Method::POST, PATH, BODY),
        (SECRET, with("handfast-branch", "hf1_bank_1_2s_1"), Method::POST, PATH, BODY),
        (SECRET, with("handfast-call", "undo"), Method::POST, PATH, BODY),
        (SECRET, with("handfast-attempt", "4"), Method::POST, PATH, BODY),
        (SECRET, with("handfast-signature", &flipped), Method::POST, PATH, BODY),
        (
            SECRET,
            with("handfast-signature", &VECTOR.replace("t=1700000000", "t=1700000001")),
            Method::POST,
            PATH,
            BODY,
        ),
    ] {
        assert_eq!(found(changed.clone()), Err(BadSignature::Wrong), "{changed:?}");
    }
    for odd in ["", "t=1,v1=", "v1=00,t=1", "t=+1700000000,v1=00", &VECTOR[..79], &VECTOR[..78]] {
        let changed = (SECRET, with("handfast-signature", odd), Method::POST, PATH, BODY);
        let found = found(changed);
        assert!(
            matches!(found, Err(BadSignature::Header(BadCall::Invalid { .. }))),
            "{odd}: {found:?}"
        );
    }
}

#[test]
fn every_signed_header_must_be_there_once() {
    let found = |given: &[(&'static str, &str)]| {
        let now = UNIX_EPOCH + Duration::from_secs(SIGNED_AT);
        verify(SECRET, &headers(given), &Method::POST, PATH, BODY, now, TOLERANCE)
    };
    for (name, _) in HEADERS.into_iter().filter(|(name, _)| name.starts_with("handfast-")) {
        let rest: Vec<_> = HEADERS.into_iter().filter(|(other, _)| *other != name).collect();
        assert_eq!(found(&rest), Err(BadSignature::Header(BadCall::Missing(name))));
        let twice = [&HEADERS[..], &[(name, "1")]].concat();
        assert_eq!(found(&twice), Err(BadSignature::Header(BadCall::Repeated(name))));
    }
}

#[test]
fn a_secret_can_be_replaced() {
    // For ever, for the vector is old.
    let verifier = |secret: &[u8]| Verifier::new(secret).tolerance(Duration::MAX);
    let found =
        |verifier: Verifier| verifier.verify(&headers(&HEADERS), &Method::POST, PATH, BODY).is_ok();
    assert!(found(verifier(SECRET)));
    assert!(found(verifier(b"the new one").or(SECRET)));
    assert!(found(verifier(SECRET).or("the new one")));
    assert!(!found(verifier(b"the new one").or("the newest one")));
    assert!(!found(Verifier::new(SECRET)), "it is years old");
}

#[tokio::test]
async fn a_handler_gets_signed_bodies_only() {
    let verifier = Verifier::new(SECRET).tolerance(Duration::MAX);
    let handler = async |call: Call, Signed(body): Signed| -> String {
        format!("{} {}", call.kind().name(), body.len())
    };
    let app = Router::new().route("/shop/bookings", post(handler)).with_state(verifier);
    for (body, status, said) in
        [(BODY, 200, "do 10"), (b"{}", 401, "the signature does not fit the request")]
    {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = PATH.parse().unwrap();
        *request.headers_mut() = headers(&HEADERS);
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains(said), "{body}");
    }
    assert!(SystemTime::now() > UNIX_EPOCH + Duration::from_secs(SIGNED_AT) + TOLERANCE);
}

fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}
