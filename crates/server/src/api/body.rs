//! Bodies of requests: bounded in size and time, declared as JSON, read into a wire type. And those
//! of answers.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::Request,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use super::{codes, problem::Problem};

/// Most time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of a request's body; one that nobody gave a bound is read not at all.
#[derive(Clone, Copy)]
pub struct Bound(pub usize);

/// The body as `T`.
///
/// # Errors
/// What is wrong with it; nothing has happened.
pub async fn json<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    check_content_type(&request)?;
    parse(&bytes(request).await?)
}

/// The body as `T`, or `T::default()` if there is none.
///
/// # Errors
/// What is wrong with it; nothing has happened.
pub async fn json_or_empty<T: DeserializeOwned + Default>(request: Request) -> Result<T, Problem> {
    let declared = check_content_type(&request);
    let bytes = bytes(request).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    declared?;
    parse(&bytes)
}

/// An answer. In the place of axum's own, whose buffer is slow for the many small pieces of JSON.
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self.0).expect("wire types have text keys only");
        let mut response = Response::new(text.into());
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

async fn bytes(request: Request) -> Result<Bytes, Problem> {
    let max = request.extensions().get().map_or(0, |Bound(max)| *max);
    let body = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body is longer than {max} bytes");
            Err(Problem::new(&codes::BODY_TOO_LARGE, detail).up_to("limits.body_bytes_max", max))
        }
        Ok(Err(_)) => Err(Problem::new(&codes::MALFORMED_JSON, "the body broke off")),
        Err(_) => {
            let detail = format!("not complete after {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(&codes::SLOW_BODY, detail))
        }
    }
}

fn check_content_type(request: &Request) -> Result<(), Problem> {
    let declared = request.headers().get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or("?"));
    let media = declared.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = match declared {
        Some(declared) => format!("it is declared as {declared:?}"),
        None => "it is not declared at all".into(),
    };
    Err(Problem::new(&codes::WRONG_CONTENT_TYPE, detail))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A list would be read as the fields in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(&codes::WRONG_SHAPE, "it is a list, and no object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let code = match error.classify() {
            Category::Data => codes::WRONG_SHAPE,
            Category::Syntax | Category::Eof | Category::Io => codes::MALFORMED_JSON,
        };
        Problem::new(&code, error.to_string())
    })
}
