//! Sagas: describe, look, run.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use handfast_client::wire;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Api, Problem,
    asked::{Asked, Nothing},
    body::{self, Json},
    codes,
    named::Named,
    transactions,
};
use crate::{
    driver::now_ms,
    sagas::{Kept, NotKept},
};

/// Most findings that a problem tells.
const FINDINGS_MAX: usize = 8;

/// Which version.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// The last if absent.
    version: Option<u32>,
}

/// Keeps a version of a saga. The same again changes nothing; another content needs another
/// version.
#[utoipa::path(
    put, path = "/v1/sagas/{name}", tag = "sagas",
    params(("name" = String, Path, description = "The saga's name, as in the definition.")),
    request_body = wire::SagaDefinition,
    responses(
        (status = 200, description = "It is kept.", body = wire::Saga),
        (status = 409, description = "The version is there with another content.",
            body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "It could not run; nothing is kept.",
            body = wire::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn apply(
    State(api): State<Api>,
    Named(name): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Json<wire::Saga>, Problem> {
    let definition: wire::SagaDefinition = body::json(request).await?;
    if definition.name != name {
        let detail = format!("the path says {name:?}, the definition {:?}", definition.name);
        return Err(Problem::new(&codes::BAD_SAGA, detail));
    }
    let errors = handfast_saga::validate(&definition);
    if !errors.is_empty() {
        return Err(found(&codes::BAD_SAGA, &errors));
    }
    api.rules.check_saga(&definition)?;
    let findings = handfast_saga::lint(&definition);
    let saga = wire::Saga { definition, findings, applied_at_ms: now_ms() };
    let node = api.node.clone();
    let kept = tokio::task::spawn_blocking(move || node.sagas().keep(saga)).await;
    match kept {
        Ok(Ok(kept)) => Ok(Json(kept.saga.clone())),
        Ok(Err(why @ NotKept::VersionTaken)) => {
            Err(Problem::new(&codes::SAGA_VERSION_TAKEN, why.to_string()))
        }
        Ok(Err(NotKept::TooMuch(why))) => Err(Problem::new(&codes::SAGAS_FULL, why)),
        Ok(Err(NotKept::Io(error))) => {
            tracing::error!(%error, "a saga was not written");
            Err(Problem::new(&codes::NOT_WRITTEN, format!("{}", error.kind())))
        }
        Err(_) => Err(Problem::new(&codes::BUG_HERE, "whether it is kept is not known")),
    }
}

/// Lists the sagas, by name.
#[utoipa::path(
    get, path = "/v1/sagas", tag = "sagas",
    responses((status = 200, description = "All of them.", body = Vec<wire::SagaLine>))
)]
pub(super) async fn list(State(api): State<Api>) -> Json<Vec<wire::SagaLine>> {
    Json(api.node.sagas().list())
}

/// Shows a version of a saga.
#[utoipa::path(
    get, path = "/v1/sagas/{name}", tag = "sagas",
    params(("name" = String, Path, description = "The saga's name."), Which),
    responses((status = 200, description = "As it was applied.", body = wire::Saga))
)]
pub(super) async fn show(
    State(api): State<Api>,
    Named(name): Named,
    Asked(Which { version }): Asked<Which>,
) -> Result<Json<wire::Saga>, Problem> {
    Ok(Json(saga(&api, &name, version)?.saga.clone()))
}

/// Sends `POST /v1/sagas/{name}:run` to its verb.
pub(super) async fn tell(
    State(api): State<Api>,
    Named(name_and_verb): Named,
    _: Asked<Nothing>,
    request: Request,
) -> Result<Response, Problem> {
    match name_and_verb.rsplit_once(':') {
        Some((name, "run")) => run(&api, name, request).await,
        _ => Err(Problem::new(&codes::NO_SUCH_ROUTE, "a saga is told `:run`")),
    }
}

/// Runs a saga: the answer is the transaction, as if it had been begun by itself.
#[utoipa::path(
    post, path = "/v1/sagas/{name}:run", tag = "sagas",
    params(("name" = String, Path, description = "The saga's name.")),
    request_body = Option<wire::RunSaga>,
    responses(
        (status = 200, description = "Committed.", body = wire::Transaction),
        (status = 202, description = "Not known yet: ask at `Location`.", body = wire::Transaction),
        (status = 409, description = "Aborted; what was done is undone.",
            body = wire::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The input does not fit; nothing of it happened.",
            body = wire::Problem, content_type = "application/problem+json"),
    )
)]
async fn run(api: &Api, name: &str, request: Request) -> Result<Response, Problem> {
    let trace = transactions::trace(request.headers()).to_owned();
    let wire::RunSaga { gid, input, version, wait, ack } = body::json_or_empty(request).await?;
    let saga = saga(api, name, version)?;
    let wanted = saga.begin(gid, input).map_err(|findings| found(&codes::BAD_INPUT, &findings))?;
    let wire::SagaDefinition { name, version, .. } = &saga.saga.definition;
    let wanted = wire::BeginTransaction { wait, ack, ..wanted };
    transactions::run(api, wanted, &trace, Some(format!("{name}@{version}"))).await
}

fn saga(api: &Api, name: &str, version: Option<u32>) -> Result<Arc<Kept>, Problem> {
    api.node.sagas().get(name, version).ok_or_else(|| {
        let version = version.map(|version| format!(" in version {version}"));
        let detail = format!("no saga is called {name:?}{}", version.unwrap_or_default());
        Problem::new(&codes::NO_SUCH_SAGA, detail)
    })
}

/// What is wrong, in one sentence for each.
fn found(code: &codes::Code, findings: &[wire::SagaFinding]) -> Problem {
    let each = findings.iter().take(FINDINGS_MAX).map(|finding| {
        let wire::SagaFinding { code, branch, message, .. } = finding;
        match branch {
            Some(branch) => format!("`{branch}`: {message} ({code})"),
            None => format!("{message} ({code})"),
        }
    });
    let problem = Problem::new(code, each.collect::<Vec<_>>().join("; "));
    match findings.first().and_then(|finding| finding.branch.as_ref()) {
        Some(branch) => problem.branch(branch),
        None => problem,
    }
}
