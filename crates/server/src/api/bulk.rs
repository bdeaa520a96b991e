//! One word to many transactions: those that a filter names, a page at a time.

use axum::{
    Extension, Json,
    extract::{Request, State},
};
use futures_util::{StreamExt, stream};
use handfast_client::wire;

use super::{Api, Problem, body, checks, codes, transactions::check_limit};
use crate::{
    auth::Caller,
    node::{Command, Rejected},
};

/// Most transactions that are told at once.
const AT_ONCE: usize = 32;

/// Commits those that are held or open, of one page.
#[utoipa::path(
    post, path = "/v1/transactions:commit", tag = "transactions",
    request_body = wire::Bulk,
    responses((status = 200, description = "Who took it, and who did not.", body = wire::BulkDone))
)]
pub(super) async fn commit(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<wire::BulkDone>, Problem> {
    tell(&api, &caller, request, |reason| Command::Commit { reason }).await
}

/// Aborts those that are not decided, of one page.
#[utoipa::path(
    post, path = "/v1/transactions:abort", tag = "transactions",
    request_body = wire::Bulk,
    responses((status = 200, description = "Who took it, and who did not.", body = wire::BulkDone))
)]
pub(super) async fn abort(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<wire::BulkDone>, Problem> {
    tell(&api, &caller, request, |reason| Command::Abort { reason }).await
}

/// Tries what waits again now, of one page.
#[utoipa::path(
    post, path = "/v1/transactions:retry", tag = "transactions",
    request_body = wire::Bulk,
    responses((status = 200, description = "Who took it, and who did not.", body = wire::BulkDone))
)]
pub(super) async fn retry(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<wire::BulkDone>, Problem> {
    tell(&api, &caller, request, |reason| Command::Retry { branch: None, reason }).await
}

async fn tell(
    api: &Api,
    by: &Caller,
    request: Request,
    command: impl Fn(String) -> Command,
) -> Result<Json<wire::BulkDone>, Problem> {
    let wire::Bulk { filter, reason, dry_run } = body::json(request).await?;
    check_limit(&api.rules, filter.limit)?;
    let reason = checks::reason(reason)?;
    let page = api.node.list(filter).await.map_err(|rejected| match rejected {
        Rejected::WrongState(why) => Problem::new(&codes::BAD_QUERY, why),
        rejected => rejected.into(),
    })?;
    let wait_ms = api.rules.limits.wait_ms_max;
    let told = page.transactions.into_iter().map(|line| {
        let command = command(reason.clone());
        async move {
            let told = match dry_run {
                true => api.node.dry_run(&line.gid, command, &by.0).await.map(drop),
                false => {
                    let told = api.node.command(&line.gid, command.clone(), &by.0, wait_ms).await;
                    told.and_then(|told| command.missed(told.outcome))
                }
            };
            (line.gid, told)
        }
    });
    let mut done = wire::BulkDone { next: page.next, ..wire::BulkDone::default() };
    let mut told = stream::iter(told).buffered(AT_ONCE);
    while let Some((gid, told)) = told.next().await {
        match told {
            Ok(()) => done.taken.push(gid),
            Err(rejected) => drop(done.refused.insert(gid, rejected.to_string())),
        }
    }
    Ok(Json(done))
}
