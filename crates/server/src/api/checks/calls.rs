//! What branches of services do: which calls go with which kind, and what a call may be.

use handfast_client::wire::{self, BranchKind};
use handfast_core::{
    plan::{Call, Calls},
    work::Work,
};
use handfast_participants::service::check_call;
use serde_json::{Value as Json, json};

use super::{Rules, codes, plan::kind};
use crate::api::Problem;

const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "DELETE", "GET"];
/// Longest type and subject of a message, and longest key that orders deliveries.
const WORD_BYTES_MAX: usize = 256;
const EVENT_TYPE: &str = "application/cloudevents+json";

fn wrong<T>(detail: impl Into<String>, cure: &str) -> Result<T, Problem> {
    Err(Problem::new(&codes::WRONG_WORK, detail).cure(cure))
}

/// What of a branch only services understand, by the fields' names.
fn of_services(branch: &wire::Branch) -> Vec<&'static str> {
    named(&[
        ("do", branch.act.is_some()),
        ("undo", branch.undo.is_some()),
        ("try", branch.attempt.is_some()),
        ("confirm", branch.confirm.is_some()),
        ("cancel", branch.cancel.is_some()),
        ("message", branch.message.is_some()),
        ("retry", branch.retry.is_some()),
        ("undo_retry", branch.undo_retry.is_some()),
        ("absent_is_undone", branch.absent_is_undone),
        ("order_key", branch.order_key.is_some()),
    ])
}

fn named(fields: &[(&'static str, bool)]) -> Vec<&'static str> {
    fields.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect()
}

/// A branch of a database or shard prepares, and has nothing of a service's.
pub(super) fn check_none(branch: &wire::Branch) -> Result<(), Problem> {
    let name = &branch.resource;
    if kind(branch) != BranchKind::Prepare {
        let detail = format!("`{name}` is no service: its branches prepare");
        return wrong(detail, "Leave `kind` out, or use a resource that is a service.");
    }
    match of_services(branch).first() {
        None => Ok(()),
        Some(field) => wrong(
            format!("`{name}` is no service and takes no `{field}`"),
            "Give `sql` or `keys`, or use a resource that is a service.",
        ),
    }
}

/// Whether a branch of a service has what its kind needs, and nothing else.
fn check_fields(branch: &wire::Branch) -> Result<(), Problem> {
    let of_databases = named(&[
        ("sql", branch.sql.is_some()),
        ("keys", branch.keys.is_some()),
        ("isolation", branch.isolation.is_some()),
        ("statement_timeout_ms", branch.statement_timeout_ms.is_some()),
        ("lock_timeout_ms", branch.lock_timeout_ms.is_some()),
    ]);
    if let Some(field) = of_databases.first() {
        let detail = format!("`{}` is a service and takes no `{field}`", branch.resource);
        return wrong(detail, "Give it `do`, `message`, or `try` with `confirm` and `cancel`.");
    }
    let fields = of_services(branch);
    let has = |field: &&'static str| fields.contains(field);
    let (kind, needed, others, cure): (_, &[_], &[_], _) = match kind(branch) {
        BranchKind::Step => (
            "a step",
            &["do"],
            &["undo", "retry", "undo_retry", "absent_is_undone"],
            "A step has a `do`, and an `undo` if it can be taken back.",
        ),
        BranchKind::Deliver => (
            "a delivery",
            if branch.message.is_some() { &["message"] } else { &["do"] },
            &["retry", "order_key"],
            "A delivery has a `do` or a `message`; it is never undone.",
        ),
        BranchKind::Prepare => (
            "a branch of a service that prepares",
            &["try", "confirm", "cancel"],
            &["retry", "undo_retry", "absent_is_undone"],
            "A reservation has `try`, `confirm` and `cancel`. What is done at once, or only after \
             the commit, is of kind `step` or `deliver`.",
        ),
    };
    if let Some(missing) = needed.iter().find(|field| !has(field)) {
        return wrong(format!("{kind} needs `{missing}`"), cure);
    }
    match fields.iter().find(|field| !needed.contains(field) && !others.contains(field)) {
        None => Ok(()),
        Some(odd) => wrong(format!("{kind} has no `{odd}`"), cure),
    }
}

impl Rules {
    /// The calls of a service's branch. `now_ms` is the time that a message says.
    pub(super) fn calls(
        &self,
        gid: &str,
        branch: &wire::Branch,
        now_ms: u64,
    ) -> Result<Calls, Problem> {
        check_fields(branch)?;
        let call = |field: &str, call: &Option<wire::Call>| {
            call.as_ref().map(|call| self.call(field, call)).transpose()
        };
        let act = match &branch.message {
            Some(message) => Some(self.message(gid, &branch.name, message, now_ms)?),
            None => call("do", &branch.act)?.or(call("try", &branch.attempt)?),
        };
        if let Some(key) = &branch.order_key {
            check_word("order_key", key)?;
        }
        Ok(Calls {
            act: act.expect("`do`, `try` or `message` is needed"),
            confirm: call("confirm", &branch.confirm)?,
            undo: call("undo", &branch.undo)?.or(call("cancel", &branch.cancel)?),
            absent_is_undone: branch.absent_is_undone,
            order_key: branch.order_key.clone(),
        })
    }

    /// One call.
    pub(super) fn call(&self, field: &str, call: &wire::Call) -> Result<Call, Problem> {
        let line = call.call.split_once(' ');
        let Some((method, path)) = line.filter(|(method, _)| METHODS.contains(method)) else {
            let detail = format!("`{field}` is {:?}", call.call);
            let cure = "Write a method and a path, such as `POST /bookings`.";
            return Err(Problem::new(&codes::BAD_CALL, detail).cure(cure));
        };
        let headers = call.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        let body = call.body.as_ref().map(Json::to_string).unwrap_or_default();
        self.checked(field, method, path, headers.collect(), body)
    }

    fn checked(
        &self,
        field: &str,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: String,
    ) -> Result<Call, Problem> {
        let bad = |why: String| Problem::new(&codes::BAD_CALL, format!("`{field}`: {why}"));
        let max = self.limits.text_bytes_max;
        if body.len() > max {
            let why = format!("its body has {} bytes; the limit is {max}", body.len());
            return Err(bad(why).cure("Send less, or raise `limits.text_bytes_max`."));
        }
        let call = Call { method: method.into(), path: path.into(), headers, body };
        check_call(&call).map_err(bad)?;
        Ok(call)
    }

    /// A CloudEvent 1.0 in structured mode (its section 3.1.1 for the names of the attributes).
    fn message(
        &self,
        gid: &str,
        branch: &str,
        message: &wire::Message,
        now_ms: u64,
    ) -> Result<Call, Problem> {
        check_word("message.type", &message.kind)?;
        let mut event = json!({
            "specversion": "1.0",
            "id": format!("{gid}/{branch}"),
            "source": format!("/handfast/{}", self.cluster),
            "type": message.kind,
            "time": rfc3339(now_ms),
        });
        if let Some(subject) = &message.subject {
            check_word("message.subject", subject)?;
            event["subject"] = subject.as_str().into();
        }
        if let Some(data) = &message.data {
            event["datacontenttype"] = "application/json".into();
            event["data"] = data.clone();
        }
        let headers = vec![("content-type".to_owned(), EVENT_TYPE.to_owned())];
        let path = message.path.as_deref().unwrap_or("/");
        self.checked("message", "POST", path, headers, event.to_string())
    }
}

fn check_word(field: &str, word: &str) -> Result<(), Problem> {
    let is_bad = word.is_empty() || word.len() > WORD_BYTES_MAX || word.contains(char::is_control);
    match is_bad {
        false => Ok(()),
        true => Err(Problem::new(
            &codes::BAD_CALL,
            format!("`{field}` is empty, longer than {WORD_BYTES_MAX} bytes, or holds a control"),
        )),
    }
}

/// Whether two works are the same message, sent at two times.
pub(super) fn is_same_message(one: &Work, other: &Work) -> bool {
    let event = |work: &Work| match work {
        Work::Calls(calls) if calls.act.headers.iter().any(|(_, value)| value == EVENT_TYPE) => {
            let mut event: Json = serde_json::from_str(&calls.act.body).ok()?;
            event.as_object_mut()?.remove("time");
            let bare = Call { body: String::new(), ..calls.act.clone() };
            Some((event, Calls { act: bare, ..(**calls).clone() }))
        }
        _ => None,
    };
    event(one).is_some_and(|one| Some(one) == event(other))
}

/// A time in UTC (RFC 3339), with the days counted in years that begin in March, so that the day
/// that some have more is their last.
fn rfc3339(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (era * 400 + year, month + 3),
        _ => (era * 400 + year + 1, month - 9),
    };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}
