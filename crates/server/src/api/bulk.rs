//! One word to many transactions: those that a filter names, a page at a time.

use axum::{
    Extension,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use handfast_client::wire;
use utoipa::IntoResponses;

use super::{
    Api, Problem,
    asked::{Asked, How},
    body::{self, Json},
    checks, codes,
    transactions::check_limit,
};
use crate::{
    auth::Caller,
    driver::now_ms,
    node::{Command, Rejected},
};

/// Most transactions that are told at once.
const AT_ONCE: usize = 32;

/// Who took it, and who did not.
#[derive(IntoResponses)]
#[response(status = 200)]
pub(super) struct Told(wire::BulkDone);

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

/// Commits those that are held or open, of one page.
#[utoipa::path(
    post, path = "/v1/transactions:commit", tag = "transactions", params(How),
    request_body = wire::Bulk, responses(Told)
)]
pub(super) async fn commit(
    State(api): State<Api>,
    Extension(by): Extension<Caller>,
    Asked(how): Asked<How>,
    request: Request,
) -> Result<Told, Problem> {
    let (page, reason) = page(&how, request).await?;
    tell(&api, &by, page, Word::Same(Command::Commit { reason })).await
}

/// Aborts those that are not decided, of one page.
#[utoipa::path(
    post, path = "/v1/transactions:abort", tag = "transactions", params(How),
    request_body = wire::Bulk, responses(Told)
)]
pub(super) async fn abort(
    State(api): State<Api>,
    Extension(by): Extension<Caller>,
    Asked(how): Asked<How>,
    request: Request,
) -> Result<Told, Problem> {
    let (page, reason) = page(&how, request).await?;
    tell(&api, &by, page, Word::Same(Command::Abort { reason })).await
}

/// Tries what waits again now, of one page.
#[utoipa::path(
    post, path = "/v1/transactions:retry", tag = "transactions", params(How),
    request_body = wire::Bulk, responses(Told)
)]
pub(super) async fn retry(
    State(api): State<Api>,
    Extension(by): Extension<Caller>,
    Asked(how): Asked<How>,
    request: Request,
) -> Result<Told, Problem> {
    let (page, reason) = page(&how, request).await?;
    tell(&api, &by, page, Word::Same(Command::Retry { branch: None, reason })).await
}

/// Gives the branch of that name other calls in each of one page, and tries it again.
///
/// Where it does not fit, nothing happens.
#[utoipa::path(
    post, path = "/v1/transactions:edit", tag = "transactions", params(How),
    request_body = wire::BulkEdit, responses(Told)
)]
pub(super) async fn edit(
    State(api): State<Api>,
    Extension(by): Extension<Caller>,
    Asked(how): Asked<How>,
    request: Request,
) -> Result<Told, Problem> {
    let wire::BulkEdit { filter, branch, reason, dry_run } = body::json(request).await?;
    let edit = wire::Edit { branch, reason: checks::needed_reason(reason)? };
    let page = Page { filter, dry_run: how.is_dry(dry_run)? };
    tell(&api, &by, page, Word::Edit(edit.into())).await
}

/// Declares finished, in each of one page, what waits for an operator: the branch of that name, or,
/// if none is named, every branch that is stuck; with `resource` in the filter, only there. A
/// transaction that others than this node decide wants a look of its own.
#[utoipa::path(
    post, path = "/v1/transactions:resolve", tag = "transactions", params(How),
    request_body = wire::BulkResolve, responses(Told)
)]
pub(super) async fn resolve(
    State(api): State<Api>,
    Extension(by): Extension<Caller>,
    Asked(how): Asked<How>,
    request: Request,
) -> Result<Told, Problem> {
    let wire::BulkResolve { filter, branch, outcome, reason, dry_run } =
        body::json(request).await?;
    let (committed, reason) = (checks::seen(outcome)?, checks::needed_reason(reason)?);
    let word = Word::ResolveStuck { branch, at: filter.resource.clone(), committed, reason };
    tell(&api, &by, Page { filter, dry_run: how.is_dry(dry_run)? }, word).await
}

/// Which transactions, and whether it is meant.
struct Page {
    filter: wire::ListFilter,
    dry_run: bool,
}

/// What a word says that needs nothing but a reason.
async fn page(how: &How, request: Request) -> Result<(Page, String), Problem> {
    let wire::Bulk { filter, reason, dry_run } = body::json(request).await?;
    Ok((Page { filter, dry_run: how.is_dry(dry_run)? }, checks::reason(reason)?))
}

/// What is said to many, before it is known what that means to each.
enum Word {
    /// The same to all.
    Same(Command),
    /// Other calls for a branch, which each must have and be able to call.
    Edit(Box<wire::Edit>),
    /// What is stuck is finished: all of it, or the branch of that name, or at one resource.
    ResolveStuck { branch: Option<String>, at: Option<String>, committed: bool, reason: String },
}

impl Word {
    /// Whether a transaction in this state is decided as the word says.
    fn has_come_true(&self, state: wire::State) -> bool {
        use wire::State::{Aborted, Aborting, Committed, Committing};
        match self {
            Self::Same(Command::Commit { .. }) => matches!(state, Committed | Committing),
            Self::Same(Command::Abort { .. }) => matches!(state, Aborted | Aborting),
            _ => false,
        }
    }

    /// What it means to one of them.
    async fn commands(&self, api: &Api, gid: &str) -> Result<Vec<Command>, Problem> {
        match self {
            Self::Same(command) => Ok(vec![command.clone()]),
            Self::Edit(edit) => {
                let present = api.node.present(gid).await?;
                let edit = wire::Edit::clone(edit);
                Ok(vec![api.rules.edit(&present, edit, now_ms())?])
            }
            Self::ResolveStuck { branch, at, committed, reason } => {
                let stuck = api.node.stuck(gid, branch.as_deref(), at.as_deref()).await?;
                let resolve = |branch| Command::Resolve {
                    branch,
                    committed: *committed,
                    reason: reason.clone(),
                };
                Ok(stuck.into_iter().map(resolve).collect())
            }
        }
    }
}

async fn tell(api: &Api, by: &Caller, page: Page, word: Word) -> Result<Told, Problem> {
    let Page { filter, dry_run } = page;
    check_limit(&api.rules, filter.limit)?;
    let wire::ListFilter { state, resource, saga, prefix, .. } = &filter;
    if [state, resource, saga, prefix].into_iter().flatten().all(String::is_empty) {
        return Err(Problem::new(&codes::NO_FILTER, "the filter is empty, and means all of them"));
    }
    let page = api.node.list(filter).await.map_err(|rejected| match rejected {
        Rejected::WrongState(why) => Problem::new(&codes::BAD_QUERY, why),
        rejected => rejected.into(),
    })?;
    let word = &word;
    let mut done = wire::BulkDone { dry_run, next: page.next, ..wire::BulkDone::default() };
    let is_already = |line: &wire::TransactionLine| word.has_come_true(line.state);
    let (already, lines): (Vec<_>, Vec<_>) = page.transactions.into_iter().partition(is_already);
    done.already = already.into_iter().map(|line| line.gid).collect();
    let told = lines.into_iter().map(|line| async move {
        let told = tell_one(api, by, &line.gid, word, dry_run).await;
        (line.gid, told)
    });
    let mut told = stream::iter(told).buffered(AT_ONCE);
    while let Some((gid, told)) = told.next().await {
        match told {
            Ok(warning) => {
                done.warnings.extend(warning.map(|warning| (gid.clone(), warning)));
                done.taken.push(gid);
            }
            Err(problem) => drop(done.refused.insert(gid, problem.line())),
        }
    }
    Ok(Told(done))
}

/// Says it to one, or looks whether it would be taken, and what to think of first. Of several
/// branches each is told, whatever the others answer.
async fn tell_one(
    api: &Api,
    by: &Caller,
    gid: &str,
    word: &Word,
    dry_run: bool,
) -> Result<Option<String>, Problem> {
    let (mut refused, mut warning) = (None, None);
    for command in word.commands(api, gid).await? {
        let told = match dry_run {
            true => api.node.dry_run(gid, command.clone(), &by.0).await.map(|dry| {
                warning = warning.take().or(dry.warning);
            }),
            false => {
                let wait_ms = api.rules.limits.wait_ms_max;
                let told = api.node.command(gid, command.clone(), &by.0, wait_ms).await;
                told.and_then(|told| command.missed(told.outcome))
            }
        };
        if let Err(rejected) = told {
            let problem = Problem::from(rejected);
            refused.get_or_insert(match command.branch() {
                Some(branch) => problem.branch(branch),
                None => problem,
            });
        }
    }
    refused.map_or(Ok(warning), Err)
}
