//! Signatures in axum: a body that is signed, as an extractor.

use axum_core::{
    extract::{FromRef, FromRequest, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{BadSignature, Verifier};
use crate::barrier::axum::problem;

/// The body of a request whose signature is right. The handler's state holds the [`Verifier`].
///
/// It verifies the path as the handler's router sees it. Below axum's `nest` that is not all of the
/// path: there, use [`Verifier::verify`] in front of the router.
pub struct Signed(pub Bytes);

impl<S> FromRequest<S> for Signed
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let verifier = Verifier::from_ref(state);
        let (parts, body) = request.into_parts();
        let body = Request::new(body);
        let body = Bytes::from_request(body, state).await;
        let body = body.map_err(|unread| Refused::Unread(unread.into_response()))?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        verifier.verify(&parts.headers, &parts.method, path, &body)?;
        Ok(Self(body))
    }
}

/// Why a body was not taken; nothing has happened.
pub enum Refused {
    /// It could not be read, or is too long.
    Unread(Response),
    /// It is not signed as it must be.
    Unsigned(BadSignature),
}

impl From<BadSignature> for Refused {
    fn from(why: BadSignature) -> Self {
        Self::Unsigned(why)
    }
}

/// 401, or what axum says of the body.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Unread(response) => response,
            Self::Unsigned(why) => {
                let cure = "Give both sides the same signing secret and the right time.";
                problem(401, "bad_signature", "The call is not signed.", &why.to_string(), cure)
            }
        }
    }
}
