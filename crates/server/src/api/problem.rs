//! What a request gets that is not answered as it hoped: problem+json.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use handfast_client::wire;
use handfast_core::limits::REASON_BYTES_MAX;

use super::{
    body::Json,
    codes::{self, Code},
};
use crate::{
    auth::Denied,
    config::table::{self, Kind},
    node::Rejected,
};

/// A problem on its way to the caller.
#[derive(Debug)]
pub struct Problem(Box<wire::Problem>);

impl Problem {
    /// A problem of this code, and what was wrong this time.
    pub fn new(code: &Code, detail: impl Into<String>) -> Self {
        Self(Box::new(wire::Problem {
            kind: kind(code.name),
            status: code.status,
            code: code.name.into(),
            title: code.title.into(),
            detail: shortened(detail.into()),
            cure: code.cure.into(),
            branch: None,
            retryable: code.retryable(),
            transaction: None,
        }))
    }

    /// The branch it concerns.
    pub fn branch(mut self, name: &str) -> Self {
        self.0.branch = Some(shortened(name.into()));
        self
    }

    /// What to do, where more is known than what the table says.
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.0.cure = cure.into();
        self
    }

    /// The bound of a setting was met: where that is as high as it can be, nobody is told to raise
    /// it.
    pub fn up_to(mut self, key: &str, bound: impl TryInto<u64>) -> Self {
        if let Some(Kind::Number { max, .. }) = table::find(key).map(|setting| setting.kind)
            && bound.try_into().is_ok_and(|bound| bound >= max)
        {
            self.0.cure = self.0.cure.replace(", or raise the setting", "");
        }
        self
    }

    /// The transaction as it is known.
    pub fn with(mut self, transaction: wire::Transaction) -> Self {
        self.0.transaction = Some(Box::new(transaction));
        self
    }

    /// What was wrong, in one line.
    pub fn line(&self) -> String {
        let wire::Problem { branch, detail, .. } = &*self.0;
        match branch {
            Some(branch) => format!("branch {branch}: {detail}"),
            None => detail.clone(),
        }
    }

    /// The problem that a transaction was aborted.
    pub fn aborted(transaction: wire::Transaction) -> Self {
        let reason = transaction.reason.clone().unwrap_or(wire::AbortReason {
            branch: None,
            code: codes::CALLER_ABORT.name.into(),
            message: "aborted".into(),
            cure: None,
            body: None,
            retryable: false,
        });
        let known = codes::find(&reason.code);
        Self(Box::new(wire::Problem {
            kind: kind(&reason.code),
            // The request's own fault, unless the participant says that the cause passes.
            status: match known {
                Some(code) if code.status == 422 && !reason.retryable => 422,
                _ => 409,
            },
            title: known.map_or("The transaction was aborted", |code| code.title).into(),
            detail: reason.message,
            cure: reason.cure.or(known.map(|code| code.cure.into())).unwrap_or_default(),
            branch: reason.branch,
            retryable: reason.retryable,
            code: reason.code,
            transaction: Some(Box::new(transaction)),
        }))
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let code = match &rejected {
            Rejected::Busy => codes::BUSY,
            Rejected::NotReady => codes::NOT_READY,
            Rejected::Stopping => codes::STOPPING,
            Rejected::Damaged => codes::DAMAGED,
            Rejected::OtherContent | Rejected::OtherBranch(_) => codes::OTHER_CONTENT,
            Rejected::NoSuchTransaction => codes::NO_SUCH_TRANSACTION,
            Rejected::NoSuchBranch => codes::NO_SUCH_BRANCH,
            Rejected::NoSuchResource(_) => codes::NO_SUCH_RESOURCE,
            Rejected::DecideUnsupported { .. } => codes::DECIDE_UNSUPPORTED,
            Rejected::WrongState(_) => codes::WRONG_STATE,
            Rejected::CallUnderWay => codes::CALL_UNDER_WAY,
        };
        let problem = Self::new(&code, rejected.to_string());
        match rejected {
            Rejected::DecideUnsupported { branch: Some(branch), .. } => problem.branch(&branch),
            Rejected::OtherBranch(branch) => {
                problem.branch(&branch).cure("Give the new branch a name of its own.")
            }
            _ => problem,
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorized => {
                Self::new(&codes::UNAUTHORIZED, "the request has no token, or an unknown one")
            }
            Denied::Forbidden { needed } => Self::new(
                &codes::FORBIDDEN,
                format!("this needs a token of role `{}`", needed.name()),
            ),
            Denied::CrossOrigin => Self::new(
                &codes::CROSS_ORIGIN,
                "its `Origin` or `Host` is not an address of this node's own",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::CONFLICT);
        let mut response = (status, Json(self.0)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

/// Where a code is explained: the node serves the page.
fn kind(code: &str) -> String {
    format!("/docs/errors.md#{code}")
}

/// A request's own words come back in an answer, but not without end.
fn shortened(mut text: String) -> String {
    let fits = |end: &usize| end + '…'.len_utf8() <= REASON_BYTES_MAX;
    if text.len() > REASON_BYTES_MAX {
        let ends = text.char_indices().map(|(end, _)| end).take_while(fits);
        text.truncate(ends.last().unwrap_or(0));
        text.push('…');
    }
    text
}
