//! One run of a transaction, as its services see it.

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use serde_json::Value;

use super::{
    Answer, Request, Unanswered,
    fill::{self, Known, Missing},
};
use crate::{
    barrier::CallKind,
    wire::{Branch, Call},
};

/// How often an answer "in progress" is asked again.
const POLLS_MAX: u32 = 40;
const POLL: Duration = Duration::from_millis(500);
const POLL_LONGEST: Duration = Duration::from_secs(1);
/// Most characters of an answer, or a state, that are shown.
const SHOWN_MAX: usize = 300;

/// What an answer means to Handfast.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done; its output.
    Done(Value),
    /// The business says no.
    Refused(Value),
    /// Nobody knows whether it is done: it is called again.
    Unknown(String),
    /// The call did not get there.
    NotSent(String),
    /// Makes no sense: the branch is stuck until an operator looks at it.
    Broken(String),
    /// It cannot be called: its call names what is not there.
    Unfilled(String),
}

impl Reply {
    fn of(answer: Answer, absent: Absent) -> Self {
        let shown = || format!("{} {}", answer.status, short(&answer.body));
        match answer.status {
            202 | 425 => Self::Unknown(format!("{} without end", answer.status)),
            200..300 => Self::Done(answer.body),
            404 | 410 if absent == Absent::Undone => Self::Done(Value::Null),
            404 | 410 if absent == Absent::TooEarly => {
                Self::Unknown(format!("{}, and what it takes back may still arrive", shown()))
            }
            409 | 422 => Self::Refused(answer.body),
            408 | 429 | 500.. => Self::Unknown(shown()),
            _ => Self::Broken(shown()),
        }
    }

    /// Whether nothing is known of the service.
    pub(super) fn is_unsent(&self) -> bool {
        matches!(self, Self::NotSent(_))
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(Value::Null) => f.write_str("done"),
            Self::Done(output) => write!(f, "done: {}", short(output)),
            Self::Refused(Value::Null) => f.write_str("refused"),
            Self::Refused(why) => write!(f, "refused: {}", short(why)),
            Self::Unknown(what) => write!(f, "unknown: {what}"),
            Self::NotSent(why) => write!(f, "not sent: {why}"),
            Self::Broken(what) => write!(f, "makes no sense: {what}"),
            Self::Unfilled(why) => write!(f, "not called: {why}"),
        }
    }
}

/// What 404 and 410 mean, as docs/services.md says under "Nothing to undo".
#[derive(Clone, Copy, PartialEq)]
enum Absent {
    /// Nothing: the branch does not say that they do.
    Nonsense,
    /// There is nothing to undo: what comes after an answered do is the same call twice.
    Undone,
    /// Not now: no do was answered, so one may be under way.
    TooEarly,
}

/// A fresh transaction.
pub(super) struct Run<'f, F> {
    call: &'f F,
    /// Of all runs, this one: services may know a call by its branch or by its key alone.
    id: uuid::Uuid,
    known: Known,
}

impl<'f, F: AsyncFn(Request) -> Result<Answer, Unanswered>> Run<'f, F> {
    pub fn new(call: &'f F, input: &Option<Value>) -> Self {
        let known = input.iter().map(|input| ("input".into(), input.clone())).collect();
        Self { call, id: uuid::Uuid::now_v7(), known }
    }

    /// Hears an answer: remembers its output, for calls that name it.
    pub fn learn(&mut self, branch: &Branch, reply: &Reply) {
        if let Reply::Done(output) = reply {
            self.known.insert(branch.name.clone(), output.clone());
        }
    }

    /// Calls the branch, and polls while that is in progress.
    pub async fn send(&self, branch: &Branch, kind: CallKind, attempt: u32) -> Reply {
        let request = match self.request(branch, kind, attempt) {
            Ok(request) => request,
            Err(Missing(why)) => return Reply::Unfilled(why),
        };
        let undoes = matches!(kind, CallKind::Undo | CallKind::Cancel);
        let absent = match undoes && branch.absent_is_undone {
            false => Absent::Nonsense,
            true if self.known.contains_key(&branch.name) => Absent::Undone,
            true => Absent::TooEarly,
        };
        let mut polls = 0;
        loop {
            let answer = match (self.call)(request.clone()).await {
                Ok(answer) => answer,
                Err(Unanswered::NotSent(why)) => return Reply::NotSent(why),
                Err(Unanswered::Lost(why)) => return Reply::Unknown(why),
            };
            if !matches!(answer.status, 202 | 425) || polls == POLLS_MAX {
                return Reply::of(answer, absent);
            }
            polls += 1;
            tokio::time::sleep(answer.retry_after.unwrap_or(POLL).min(POLL_LONGEST)).await;
        }
    }

    /// Short enough for a branch's id, whatever the name.
    fn branch_id(&self, branch: &Branch) -> String {
        let mut hasher = DefaultHasher::new();
        branch.name.hash(&mut hasher);
        format!("check-{}-{:016x}", self.id.simple(), hasher.finish())
    }

    fn request(&self, branch: &Branch, kind: CallKind, attempt: u32) -> Result<Request, Missing> {
        let Some(call) = named(branch, kind) else {
            return Err(Missing(format!("there is no `{}`", kind.name())));
        };
        let (method, path) = call.call.trim().split_once(' ').unwrap_or(("", ""));
        let header = |(name, value): (&String, &String)| {
            Ok((name.clone(), fill::header(value, &self.known)?))
        };
        Ok(Request {
            resource: branch.resource.clone(),
            gid: format!("check-{}", self.id),
            branch: self.branch_id(branch),
            kind,
            attempt,
            method: method.into(),
            path: fill::path(path.trim(), &self.known)?,
            headers: call.headers.iter().map(header).collect::<Result<_, _>>()?,
            body: call.body.as_ref().map(|body| fill::body(body, &self.known)).transpose()?,
        })
    }
}

/// The branch's call of that kind.
pub(super) fn named(branch: &Branch, kind: CallKind) -> Option<&Call> {
    match kind {
        CallKind::Do => branch.act.as_ref(),
        CallKind::Undo => branch.undo.as_ref(),
        CallKind::Try => branch.attempt.as_ref(),
        CallKind::Confirm => branch.confirm.as_ref(),
        CallKind::Cancel => branch.cancel.as_ref(),
        CallKind::Ask => None,
    }
}

/// What does a branch, and what takes it back.
pub(super) fn kinds(branch: &Branch) -> [CallKind; 2] {
    match branch.attempt {
        Some(_) => [CallKind::Try, CallKind::Cancel],
        None => [CallKind::Do, CallKind::Undo],
    }
}

/// Why a branch cannot be tested at all.
pub(super) fn unfit(branch: &Branch) -> Option<String> {
    let all = [kinds(branch).as_slice(), &[CallKind::Confirm]].concat();
    let calls = || all.iter().filter_map(|kind| Some((kind, named(branch, *kind)?)));
    let odd = |call: &&Call| {
        let (method, path) = call.call.trim().split_once(' ').unwrap_or_default();
        method.is_empty() || !path.trim().starts_with('/')
    };
    if let Some((kind, call)) = calls().find(|(_, call)| odd(call)) {
        return Some(format!("`{}` must be METHOD /path, not `{}`", kind.name(), call.call));
    }
    match named(branch, all[0]) {
        None => Some(format!("the branch `{}` calls nothing", branch.name)),
        Some(_) => None,
    }
}

pub(super) fn short(value: &impl ToString) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
