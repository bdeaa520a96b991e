//! The name in a path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use super::{codes, problem::Problem};

/// What the only variable of a path holds. What is not UTF-8 names nothing.
pub(crate) struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(Problem::new(&codes::NO_SUCH_ROUTE, "the path is not UTF-8")),
        }
    }
}
