//! What the query of a request asks for.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::{codes, problem::Problem};

/// The query as `T`. One that cannot be read is refused.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(asked) = query.map_err(|e| Problem::new(&codes::BAD_QUERY, e.body_text()))?;
        Ok(Self(asked))
    }
}

/// Nothing. What does something takes this if it takes no query: who sends one would believe that
/// it was heeded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// How a word is sent.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    /// Only tell what would follow: nothing happens.
    dry_run: Option<bool>,
}

impl How {
    /// Whether it is only to be told what would follow, where the body may say so too.
    ///
    /// # Errors
    /// The body says otherwise.
    pub(super) fn is_dry(&self, body: Option<bool>) -> Result<bool, Problem> {
        match (self.dry_run, body) {
            (Some(query), Some(body)) if query != body => {
                let detail = format!("`dry_run` is {query} in the query, and {body} in the body");
                Err(Problem::new(&codes::BAD_QUERY, detail))
            }
            (query, body) => Ok(query.or(body).unwrap_or(false)),
        }
    }
}
