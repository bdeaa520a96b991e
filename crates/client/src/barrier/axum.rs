//! The barrier in axum: [`Call`] as an extractor, [`Settled`] as a response.

use axum_core::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
    http::request::Parts,
};

use super::{BadCall, Call, Settled};
use crate::wire::Problem;

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = BadCall;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, BadCall> {
        Self::from_headers(&parts.headers)
    }
}

/// 400: the request is not Handfast's, and nothing has happened.
impl IntoResponse for BadCall {
    fn into_response(self) -> Response {
        let cure = "Let Handfast make the call; docs/barrier.md lists its headers.";
        problem(400, "bad_call", "The headers are no call.", &self.to_string(), cure)
    }
}

/// With [`Settled::status`]. Answers of the work are sent as JSON.
impl IntoResponse for Settled {
    fn into_response(self) -> Response {
        let status = self.status();
        let (code, title, detail) = match self {
            Self::Done(answer) | Self::Refused(answer) => {
                return response(status, "application/json", answer.bytes);
            }
            Self::Empty => return response(status, "application/json", Vec::new()),
            Self::Late => {
                ("late_call", "The call is too late.", "it came after its undo or cancel")
            }
            Self::Missing => {
                ("no_try", "There is nothing to confirm.", "no try of this branch was done")
            }
            Self::Contradicted => (
                "contradicted",
                "The branch has ended the other way.",
                "confirm and cancel came for the same branch",
            ),
        };
        problem(status, code, title, detail, "")
    }
}

pub(crate) fn problem(status: u16, code: &str, title: &str, detail: &str, cure: &str) -> Response {
    let problem = Problem {
        kind: "about:blank".into(),
        status,
        code: code.into(),
        title: title.into(),
        detail: detail.into(),
        cure: cure.into(),
        branch: None,
        retryable: false,
        transaction: None,
    };
    let body = serde_json::to_vec(&problem).expect("a problem has string keys only");
    response(status, "application/problem+json", body)
}

fn response(status: u16, content_type: &'static str, body: Vec<u8>) -> Response {
    let bare = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("the statuses above are statuses");
    if !bare {
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}
