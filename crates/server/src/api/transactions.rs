//! Transactions: run, look, tell.

use axum::{
    Extension, Json,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use handfast_client::wire::{self, Outcome};
use handfast_core::id::check_name;

use super::{
    Api, Problem, body,
    checks::{self, Rules},
    codes,
};
use crate::{
    auth::Caller,
    node::{Command, Rejected},
};

/// Runs a whole transaction: all of it happens, or none of it does.
///
/// Waits for the outcome unless `wait` is `none`. The same gid with the same content is the same
/// transaction: sent again, it gets the same answer.
#[utoipa::path(
    post, path = "/v1/transactions", tag = "transactions",
    request_body = wire::BeginTransaction,
    responses(
        (status = 200, description = "Committed.", body = wire::Transaction),
        (status = 202, description = "Not known yet, or held: ask at `Location`.",
            body = wire::Transaction,
            headers(("Location" = String, description = "Where to ask."))),
        (status = 409, description = "Aborted; nothing of it happened.",
            body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The request itself is wrong; nothing of it happened.",
            body = wire::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn begin(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let wanted: wire::BeginTransaction = body::json(request).await?;
    let begin = api.rules.begin(wanted)?;
    if let Some(gid) = &begin.gid {
        note_gid(gid);
    }
    let transaction = api.node.begin(begin).await?;
    note_gid(&transaction.gid);
    Ok(outcome(transaction))
}

/// Lists transactions, newest first.
#[utoipa::path(
    get, path = "/v1/transactions", tag = "transactions",
    params(wire::ListFilter),
    responses((status = 200, description = "A page.", body = wire::TransactionPage))
)]
pub(super) async fn list(
    State(api): State<Api>,
    filter: Result<Query<wire::ListFilter>, QueryRejection>,
) -> Result<Json<wire::TransactionPage>, Problem> {
    let Query(filter) = filter.map_err(|e| Problem::new(&codes::BAD_QUERY, e.body_text()))?;
    check_limit(&api.rules, filter.limit)?;
    match api.node.list(filter).await {
        Ok(page) => Ok(Json(page)),
        Err(Rejected::WrongState(why)) => Err(Problem::new(&codes::BAD_QUERY, why)),
        Err(rejected) => Err(rejected.into()),
    }
}

/// Shows a transaction as it is known now, with its timeline.
#[utoipa::path(
    get, path = "/v1/transactions/{gid}", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid.")),
    responses((status = 200, description = "What is known.", body = wire::Transaction))
)]
pub(super) async fn show(
    State(api): State<Api>,
    Path(gid): Path<String>,
) -> Result<Json<wire::Transaction>, Problem> {
    let gid = checked_gid(&gid)?;
    Ok(Json(api.node.transaction(gid).await?))
}

/// Sends `POST /v1/transactions/{gid}:verb` to its verb. A gid may hold colons: only the last one
/// divides.
pub(super) async fn tell(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(gid_and_verb): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (gid, verb) = gid_and_verb.rsplit_once(':').unwrap_or((&gid_and_verb, ""));
    match verb {
        "commit" => commit(&api, &caller, checked_gid(gid)?, request).await,
        "abort" => abort(&api, &caller, checked_gid(gid)?, request).await,
        "retry" => retry(&api, &caller, checked_gid(gid)?, request).await,
        "resolve" => resolve(&api, &caller, checked_gid(gid)?, request).await,
        _ => Err(Problem::new(
            &codes::NO_SUCH_ROUTE,
            "a transaction is told `:commit`, `:abort`, `:retry` or `:resolve`",
        )),
    }
}

/// Commits a held transaction.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:commit", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid.")),
    request_body = Option<wire::Because>,
    responses(
        (status = 200, description = "Committed.", body = wire::Transaction),
        (status = 202, description = "Not known yet: ask again.", body = wire::Transaction),
        (status = 409, description = "It is aborted, or not held.",
            body = wire::Problem, content_type = "application/problem+json"),
    )
)]
async fn commit(api: &Api, by: &Caller, gid: &str, body: Request) -> Result<Response, Problem> {
    let reason = because(body).await?;
    Ok(outcome(api.node.command(gid, Command::Commit { reason }, &by.0).await?))
}

/// Aborts a transaction that is not decided.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:abort", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid.")),
    request_body = Option<wire::Because>,
    responses(
        (status = 200, description = "Aborted, as asked.", body = wire::Transaction),
        (status = 202, description = "Not known yet: ask again.", body = wire::Transaction),
        (status = 409, description = "It is decided: it is committed.",
            body = wire::Problem, content_type = "application/problem+json"),
    )
)]
async fn abort(api: &Api, by: &Caller, gid: &str, body: Request) -> Result<Response, Problem> {
    let reason = because(body).await?;
    let told = api.node.command(gid, Command::Abort { reason }, &by.0).await?;
    Ok(match told.outcome {
        Outcome::Aborted => Json(told).into_response(),
        Outcome::Unknown => outcome(told),
        Outcome::Committed => {
            Problem::new(&codes::WRONG_STATE, "it is committed").with(told).into_response()
        }
    })
}

/// Tries the branches that are in doubt again, now.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:retry", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid.")),
    request_body = Option<wire::Because>,
    responses((status = 200, description = "They are being tried.", body = wire::Transaction))
)]
async fn retry(api: &Api, by: &Caller, gid: &str, body: Request) -> Result<Response, Problem> {
    let reason = because(body).await?;
    Ok(Json(api.node.command(gid, Command::Retry { reason }, &by.0).await?).into_response())
}

/// Declares a branch finished, as an operator saw it at the participant.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:resolve", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid.")),
    request_body = wire::Resolve,
    responses((status = 200, description = "It is recorded.", body = wire::Transaction))
)]
async fn resolve(api: &Api, by: &Caller, gid: &str, body: Request) -> Result<Response, Problem> {
    let command = checks::resolve(body::json(body).await?)?;
    Ok(Json(api.node.command(gid, command, &by.0).await?).into_response())
}

/// What a caller is told of a transaction that was to commit: the status says what is known.
pub fn outcome(transaction: wire::Transaction) -> Response {
    match transaction.outcome {
        Outcome::Committed => Json(transaction).into_response(),
        Outcome::Aborted => Problem::aborted(transaction).into_response(),
        Outcome::Unknown => {
            let place = format!("/v1/transactions/{}", transaction.gid);
            let mut response = (StatusCode::ACCEPTED, Json(transaction)).into_response();
            if let Ok(place) = HeaderValue::from_str(&place) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            response
        }
    }
}

async fn because(request: Request) -> Result<String, Problem> {
    let because: wire::Because = body::json_or_empty(request).await?;
    checks::reason(because.reason)
}

/// A gid from a path; one that cannot be a gid names no transaction.
fn checked_gid(gid: &str) -> Result<&str, Problem> {
    check_name(gid).map_err(|problem| {
        Problem::new(&codes::NO_SUCH_TRANSACTION, format!("no gid is {gid:?}: {problem}"))
    })?;
    note_gid(gid);
    Ok(gid)
}

fn check_limit(rules: &Rules, limit: Option<u32>) -> Result<(), Problem> {
    let max = rules.limits.list_limit_max;
    match limit {
        Some(limit) if !(1..=max).contains(&limit) => {
            let detail = format!("`limit` is {limit}; the range is 1 to {max}");
            Err(Problem::new(&codes::BAD_QUERY, detail))
        }
        _ => Ok(()),
    }
}

/// From here on, every log line of this request carries the gid.
fn note_gid(gid: &str) {
    tracing::Span::current().record("gid", gid);
}
