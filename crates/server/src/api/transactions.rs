//! Transactions: run, look, tell.

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use handfast_client::wire::{self, Outcome};
use handfast_core::id::check_name;

use super::{
    Api, Gid, Problem,
    asked::{Asked, How, Nothing},
    body::{self, Json},
    checks::{self, Rules},
    codes,
    named::Named,
};
use crate::{
    auth::Caller,
    driver::now_ms,
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
pub(super) async fn begin(
    State(api): State<Api>,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let trace = trace(request.headers()).to_owned();
    let wanted: wire::BeginTransaction = body::json(request).await?;
    run(&api, wanted, &trace, None).await
}

/// Runs it, in the name of the caller whose trace it is. `saga`, with its version, is what it was
/// made from.
pub(super) async fn run(
    api: &Api,
    wanted: wire::BeginTransaction,
    trace: &str,
    saga: Option<String>,
) -> Result<Response, Problem> {
    let mut begin = api.rules.begin(wanted, trace, now_ms())?;
    if let Some(terms) = &mut begin.terms {
        terms.saga = saga;
    }
    note_gid(&begin.gid);
    let gid = begin.gid.clone();
    let began = api.node.begin(begin).await.map_err(Problem::from);
    let mut response = began.map_or_else(IntoResponse::into_response, outcome);
    if !response.status().is_success() {
        response.extensions_mut().insert(Gid(gid));
    }
    Ok(response)
}

/// The caller's `traceparent`, or nothing.
pub(super) fn trace(headers: &HeaderMap) -> &str {
    headers.get("traceparent").and_then(|trace| trace.to_str().ok()).unwrap_or_default()
}

/// Lists transactions, newest first.
#[utoipa::path(
    get, path = "/v1/transactions", tag = "transactions",
    params(wire::ListFilter),
    responses((status = 200, description = "A page.", body = wire::TransactionPage))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(filter): Asked<wire::ListFilter>,
) -> Result<Json<wire::TransactionPage>, Problem> {
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
    Named(gid): Named,
) -> Result<Json<wire::Transaction>, Problem> {
    let gid = checked_gid(&gid)?;
    Ok(Json(api.node.transaction(gid).await?))
}

/// Adds a branch to an open transaction.
///
/// A step is done before this answers, and its output is with its branch; 202 if that takes longer
/// than the node lets requests wait. Every other branch is only taken, and so is a step that comes
/// after a branch that prepares: their turn comes after `:commit`. The same branch sent again is
/// the same branch.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}/branches", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid.")),
    request_body = wire::Branch,
    responses(
        (status = 200, description = "Done, or taken.", body = wire::Transaction),
        (status = 202, description = "Not known yet: ask again.", body = wire::Transaction),
        (status = 409, description = "The transaction is aborted, or not open.",
            body = wire::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    State(api): State<Api>,
    Named(gid): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    let gid = checked_gid(&gid)?;
    let branch: wire::Branch = body::json(request).await?;
    let branch = api.rules.add(&api.node.present(gid).await?, branch, now_ms())?;
    let (is_taken, known) = api.node.add(gid, branch, api.rules.limits.wait_ms_max).await?;
    Ok(match is_taken {
        true => Json(known).into_response(),
        false => outcome(known),
    })
}

/// One word to one transaction.
struct Word<'a> {
    api: &'a Api,
    by: &'a Caller,
    gid: &'a str,
    dry_run: bool,
}

/// Sends `POST /v1/transactions/{gid}:verb` to its verb. A gid may hold colons: only the last one
/// divides.
pub(super) async fn tell(
    State(api): State<Api>,
    Extension(by): Extension<Caller>,
    Named(gid_and_verb): Named,
    Asked(how): Asked<How>,
    request: Request,
) -> Result<Response, Problem> {
    let (gid, verb) = gid_and_verb.rsplit_once(':').unwrap_or((&gid_and_verb, ""));
    if !["commit", "abort", "retry", "edit", "resolve"].contains(&verb) {
        let detail = "a transaction is told `:commit`, `:abort`, `:retry`, `:edit` or `:resolve`";
        return Err(Problem::new(&codes::NO_SUCH_ROUTE, detail));
    }
    let dry_run = how.is_dry(None)?;
    let word = Word { api: &api, by: &by, gid: checked_gid(gid)?, dry_run };
    match verb {
        "commit" => commit(word, request).await,
        "abort" => abort(word, request).await,
        "retry" => retry(word, request).await,
        "edit" => edit(word, request).await,
        _ => resolve(word, request).await,
    }
}

impl Word<'_> {
    /// Says it; `then` makes the answer of what the transaction is afterwards.
    async fn say(
        self,
        command: Command,
        then: fn(wire::Transaction) -> Response,
    ) -> Result<Response, Problem> {
        let Self { api, by, gid, dry_run } = self;
        if dry_run {
            return Ok(Json(api.node.dry_run(gid, command, &by.0).await?).into_response());
        }
        let wait_ms = api.rules.limits.wait_ms_max;
        Ok(then(api.node.command(gid, command, &by.0, wait_ms).await?))
    }
}

/// Commits a transaction that is held or open.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:commit", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid."), How),
    request_body = Option<wire::Because>,
    responses(
        (status = 200, description = "Committed.", body = wire::Transaction),
        (status = 202, description = "Not known yet: ask again.", body = wire::Transaction),
        (status = 409, description = "It is aborted, or not held.",
            body = wire::Problem, content_type = "application/problem+json"),
    )
)]
async fn commit(word: Word<'_>, body: Request) -> Result<Response, Problem> {
    let reason = because(body).await?;
    word.say(Command::Commit { reason }, outcome).await
}

/// Aborts a transaction that is not decided.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:abort", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid."), How),
    request_body = Option<wire::Because>,
    responses(
        (status = 200, description = "Aborted, as asked.", body = wire::Transaction),
        (status = 202, description = "Not known yet: ask again.", body = wire::Transaction),
        (status = 409, description = "It is decided: it is committed.",
            body = wire::Problem, content_type = "application/problem+json"),
    )
)]
async fn abort(word: Word<'_>, body: Request) -> Result<Response, Problem> {
    let reason = because(body).await?;
    let aborted = |told: wire::Transaction| match told.outcome {
        Outcome::Aborted => Json(told).into_response(),
        Outcome::Unknown => outcome(told),
        Outcome::Committed => {
            Problem::new(&codes::WRONG_STATE, "it is committed").with(told).into_response()
        }
    };
    word.say(Command::Abort { reason }, aborted).await
}

/// Tries the branches that wait again, now.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:retry", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid."), How),
    request_body = Option<wire::RetryNow>,
    responses((status = 200, description = "They are being tried.", body = wire::Transaction))
)]
async fn retry(word: Word<'_>, body: Request) -> Result<Response, Problem> {
    let wire::RetryNow { branch, reason } = body::json_or_empty(body).await?;
    let reason = checks::reason(reason)?;
    word.say(Command::Retry { branch, reason }, as_known).await
}

/// Gives a branch other calls, and tries it again.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:edit", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid."), How),
    request_body = wire::Edit,
    responses((status = 200, description = "It is being tried.", body = wire::Transaction))
)]
async fn edit(word: Word<'_>, body: Request) -> Result<Response, Problem> {
    let edit: wire::Edit = body::json(body).await?;
    let present = word.api.node.present(word.gid).await?;
    let command = word.api.rules.edit(&present, edit, now_ms())?;
    word.say(command, as_known).await
}

/// Declares a branch finished, as an operator saw it at the participant.
///
/// `committed`: a step is done, a delivery has arrived; `aborted`: a step is not done or is undone,
/// a delivery will not be made.
#[utoipa::path(
    post, path = "/v1/transactions/{gid}:resolve", tag = "transactions",
    params(("gid" = String, Path, description = "The transaction's gid."), How),
    request_body = wire::Resolve,
    responses((status = 200, description = "It is recorded.", body = wire::Transaction))
)]
async fn resolve(word: Word<'_>, body: Request) -> Result<Response, Problem> {
    let command = checks::resolve(body::json(body).await?)?;
    word.say(command, as_known).await
}

fn as_known(transaction: wire::Transaction) -> Response {
    Json(transaction).into_response()
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

pub(super) fn check_limit(rules: &Rules, limit: Option<u32>) -> Result<(), Problem> {
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
