//! Everything but transactions: resources, inquiries, health, metrics, documents.

use axum::{
    extract::{Request, State},
    http::header,
    response::IntoResponse,
};
use handfast_client::wire;
use handfast_core::id::BranchId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, Problem,
    asked::{Asked, Nothing},
    body::{self, Json},
    codes,
    named::Named,
};
use crate::{inbox::Incoming, stop_point};

/// What a check of a resource found.
#[derive(Serialize, ToSchema)]
pub(super) struct Findings {
    /// One by one.
    findings: Vec<wire::Finding>,
}

/// What was decided for a branch.
#[derive(Serialize, ToSchema)]
pub(super) struct Decision {
    /// `pending`: ask again; it may still commit.
    decision: wire::Inquiry,
}

/// Lists the resources as the node sees them.
#[utoipa::path(
    get, path = "/v1/resources", tag = "resources",
    responses((status = 200, description = "All of them.", body = Vec<wire::Resource>))
)]
pub(super) async fn resources(State(api): State<Api>) -> Json<Vec<wire::Resource>> {
    Json(api.node.resources().await)
}

/// Sends `POST /v1/resources/{name}:check` to its verb.
pub(super) async fn tell_resource(
    State(api): State<Api>,
    Named(name_and_verb): Named,
    _: Asked<Nothing>,
) -> Result<Json<Findings>, Problem> {
    match name_and_verb.rsplit_once(':') {
        Some((name, "check")) => check(&api, name).await,
        _ => Err(Problem::new(&codes::NO_SUCH_ROUTE, "a resource is told `:check`")),
    }
}

/// Looks for what keeps a resource from taking part, and for what would harm it.
#[utoipa::path(
    post, path = "/v1/resources/{name}:check", tag = "resources",
    params(("name" = String, Path, description = "The resource's name.")),
    responses((status = 200, description = "What was found.", body = Findings))
)]
async fn check(api: &Api, name: &str) -> Result<Json<Findings>, Problem> {
    Ok(Json(Findings { findings: api.node.check(name).await? }))
}

/// Tells a participant what was decided for its branch.
#[utoipa::path(
    get, path = "/v1/inquiries/{branch}", tag = "participants",
    params(("branch" = String, Path, description = "The branch's `id`.")),
    responses((status = 200, description = "The decision, if there is one.", body = Decision))
)]
pub(super) async fn inquire(
    State(api): State<Api>,
    Named(branch): Named,
) -> Result<Json<Decision>, Problem> {
    let id = BranchId::parse(&branch).ok_or_else(|| {
        Problem::new(&codes::BAD_BRANCH_ID, format!("{branch:?} is not a branch id"))
    })?;
    Ok(Json(Decision { decision: api.node.inquire(id).await? }))
}

/// How many messages were taken.
#[derive(Serialize, ToSchema)]
pub(super) struct Taken {
    /// The others are lost, as messages may be.
    taken: usize,
}

/// Takes messages of shards about transactions that they can finish without this node.
#[utoipa::path(
    post, path = "/v1/messages", tag = "participants",
    request_body = Incoming,
    responses((status = 200, description = "Some of them may be taken.", body = Taken))
)]
pub(super) async fn messages(
    State(api): State<Api>,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    let messages: Incoming = body::json(request).await?;
    messages.check()?;
    stop_point::reach("messages_taken");
    Ok(Json(Taken { taken: api.node.receive(&messages)? }))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "node",
    responses((status = 200, description = "OpenAPI 3.1.", content_type = "application/json"))
)]
pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::json())
}

/// Every code that a problem may have.
#[utoipa::path(
    get, path = "/docs/errors.md", tag = "node",
    responses((status = 200, description = "A page.", body = String,
        content_type = "text/markdown; charset=utf-8"))
)]
pub(super) async fn errors() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], codes::markdown())
}

/// Whether the process lives. Needs no token.
#[utoipa::path(
    get, path = "/healthz", tag = "node",
    responses((status = 200, description = "It lives.", body = String))
)]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the node has recovered and takes transactions. Needs no token.
#[utoipa::path(
    get, path = "/readyz", tag = "node",
    responses(
        (status = 200, description = "It is ready.", body = String),
        (status = 503, description = "Not yet, or no longer.", body = wire::Problem,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    match api.node.is_ready() {
        true => Ok("ready\n"),
        false => Err(Problem::new(&codes::NOT_READY, "recovery goes on, or the node is stopping")),
    }
}

/// What the node counts, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "node",
    responses((status = 200, description = "Samples.", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"))
)]
pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], api.node.metrics().await)
}
