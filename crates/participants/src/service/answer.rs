//! What a service's answers mean.

use handfast_core::{
    limits::OUTPUT_BYTES_MAX,
    plan::Verb,
    vote::{Cause, Proof, Reply},
};
use hyper::{HeaderMap, StatusCode, header::RETRY_AFTER};

use crate::{
    http::Answer,
    refusal::{bounded, refusal},
};

/// The service refuses for business reasons.
const SERVICE_REFUSED: &str = "service_refused";
/// When to ask again, where a service that works on it does not say.
const ASK_AGAIN_MS: u64 = 500;
/// The soonest and the latest that a service may have us ask again.
const ASK_AGAIN_MS_RANGE: (u64, u64) = (100, 300_000);

/// The table of `docs/services.md`.
pub(super) fn reply(verb: Verb, absent_is_undone: bool, answer: &Answer) -> Reply {
    use StatusCode as S;
    match answer.status {
        S::ACCEPTED | S::TOO_EARLY => Reply::InProgress(ask_again_ms(&answer.headers)),
        status if status.is_success() && has_output(verb) => done(answer),
        status if status.is_success() => Reply::Done(Proof::default()),
        S::CONFLICT | S::UNPROCESSABLE_ENTITY => {
            let text = String::from_utf8_lossy(&answer.body);
            let why = if text.trim().is_empty() { said(answer) } else { text.into_owned() };
            Reply::Refused(refusal(SERVICE_REFUSED, Cause::Business, why))
        }
        S::NOT_FOUND | S::GONE if absent_is_undone && matches!(verb, Verb::Undo | Verb::Cancel) => {
            Reply::Done(Proof::default())
        }
        // Also what a proxy may say of a request that it has passed on already.
        S::REQUEST_TIMEOUT | S::TOO_MANY_REQUESTS => Reply::Unknown(said(answer)),
        status if status.is_server_error() => Reply::Unknown(said(answer)),
        _ => Reply::Broken(said(answer)),
    }
}

/// Whether others may use what it answers: all else need only be done.
fn has_output(verb: Verb) -> bool {
    match verb {
        Verb::Do | Verb::Try => true,
        Verb::Undo | Verb::Deliver | Verb::Confirm | Verb::Cancel | Verb::Ask => false,
    }
}

/// The body as JSON. What is not JSON is a text.
fn done(answer: &Answer) -> Reply {
    if !answer.is_whole {
        return Reply::Broken(said(answer));
    }
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim();
    let output = if text.is_empty() || is_json(text) {
        text.to_owned()
    } else {
        serde_json::to_string(text).expect("a text can be written as JSON")
    };
    // A text grows when it is written as JSON.
    match output.len() {
        ..=OUTPUT_BYTES_MAX => Reply::Done(Proof(output)),
        _ => Reply::Broken(too_long(answer.status)),
    }
}

/// Read as values, and not only looked over: so it is not nested deeper than others can read.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

/// In whole seconds. A date would need its clock and ours to agree.
fn ask_again_ms(headers: &HeaderMap) -> u64 {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let (soonest, latest) = ASK_AGAIN_MS_RANGE;
    seconds.map_or(ASK_AGAIN_MS, |s: u64| s.saturating_mul(1000).clamp(soonest, latest))
}

fn said(answer: &Answer) -> String {
    let status = answer.status;
    if !answer.is_whole {
        return too_long(status);
    }
    let text = String::from_utf8_lossy(&answer.body);
    match text.trim() {
        "" => format!("it answered {status}"),
        text => bounded(format!("it answered {status}: {text}")),
    }
}

fn too_long(status: StatusCode) -> String {
    format!("it answered {status} with more than {OUTPUT_BYTES_MAX} bytes")
}
