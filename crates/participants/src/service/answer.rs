//! What a service's answers mean.

use handfast_core::{
    limits::OUTPUT_BYTES_MAX,
    plan::Verb,
    vote::{Cause, Later, Proof, Refusal, Reply},
};
use hyper::{HeaderMap, StatusCode, header::RETRY_AFTER};

use super::Absent;
use crate::{http::Answer, refusal::bounded};

/// The service refuses for business reasons.
const SERVICE_REFUSED: &str = "service_refused";
/// Ends a refusal that was longer than an output may be.
const CUT: &str = "(the service's answer was longer and is cut here)";
/// When to ask again, where a service that works on it does not say.
const ASK_AGAIN_MS: u64 = 500;
/// The soonest and the latest that a service may have us ask again.
const ASK_AGAIN_MS_RANGE: (u64, u64) = (100, 300_000);

/// The table of `docs/services.md`.
pub(super) fn reply(verb: Verb, absent: Absent, answer: &Answer) -> Reply {
    use StatusCode as S;
    match answer.status {
        S::ACCEPTED | S::TOO_EARLY => {
            Reply::InProgress(retry_after_ms(&answer.headers).unwrap_or(ASK_AGAIN_MS))
        }
        status if status.is_success() && has_output(verb) => done(answer),
        status if status.is_success() => Reply::Done(Proof::default()),
        S::CONFLICT | S::UNPROCESSABLE_ENTITY => Reply::Refused(Refusal {
            code: SERVICE_REFUSED.into(),
            message: why_not(verb, answer),
            cause: Cause::Business,
        }),
        S::NOT_FOUND | S::GONE if matches!(verb, Verb::Undo | Verb::Cancel) => match absent {
            Absent::Nonsense => Reply::Broken(said(answer)),
            Absent::Undone => Reply::Done(Proof::default()),
            Absent::TooEarly => Reply::Unknown(bounded(too_early(verb, answer.status))),
        },
        // Who limits how many calls may come promises that this one is not done.
        S::TOO_MANY_REQUESTS => later(answer, false),
        // Also what a proxy may say of a request that it has passed on already.
        S::REQUEST_TIMEOUT => later(answer, true),
        status if status.is_server_error() => later(answer, true),
        _ => Reply::Broken(said(answer)),
    }
}

/// To be called again; not sooner than it says, if it does.
fn later(answer: &Answer, may_be_done: bool) -> Reply {
    match (retry_after_ms(&answer.headers), may_be_done) {
        (None, true) => Reply::Unknown(said(answer)),
        (after_ms, _) => {
            let after_ms = after_ms.unwrap_or_default();
            Reply::Later(Later { detail: said(answer), after_ms, may_be_done })
        }
    }
}

fn too_early(verb: Verb, status: StatusCode) -> String {
    let act = if verb == Verb::Cancel { "try" } else { "do" };
    format!(
        "it answered {status}, but a `{act}` was sent and not answered, and may still arrive: it \
         is asked again until it answers 2xx, or an operator knows that nothing can arrive any more"
    )
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
    let output = json(text.trim());
    // A text grows when it is written as JSON.
    match output.len() {
        ..=OUTPUT_BYTES_MAX => Reply::Done(Proof(output)),
        _ => Reply::Broken(too_long(answer.status)),
    }
}

/// Why a service refuses. Whoever asked for a do or a try is given all of it, as JSON.
fn why_not(verb: Verb, answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim();
    if text.is_empty() {
        return said(answer);
    }
    if !has_output(verb) {
        return bounded(text);
    }
    let whole = json(text);
    if answer.is_whole && whole.len() <= OUTPUT_BYTES_MAX {
        return whole;
    }
    let mut end = text.len().min(OUTPUT_BYTES_MAX);
    loop {
        let cut = json(&format!("{}… {CUT}", &text[..text.floor_char_boundary(end)]));
        if cut.len() <= OUTPUT_BYTES_MAX {
            return cut;
        }
        end -= end / 16 + 1;
    }
}

/// What is neither JSON nor nothing becomes a JSON string.
fn json(text: &str) -> String {
    match text.is_empty() || is_json(text) {
        true => text.to_owned(),
        false => serde_json::to_string(text).expect("a text can be written as JSON"),
    }
}

/// Read as values, and not only looked over: so it is not nested deeper than others can read.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

/// In whole seconds. A date would need its clock and ours to agree.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    let (soonest, latest) = ASK_AGAIN_MS_RANGE;
    Some(seconds.saturating_mul(1000).clamp(soonest, latest))
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
