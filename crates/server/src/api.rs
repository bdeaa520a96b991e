//! The HTTP API: routes, and what every request goes through before it reaches its handler.
//!
//! A request is named and logged (`observe`), let in or not (`admit`), read and checked
//! ([`checks`]), and only then given to the node. What it gets back is the transaction as it is
//! known, or a [`Problem`] with a code from [`codes`].

pub mod checks;
pub mod codes;
pub mod transactions;

mod body;
pub mod bulk;
mod convert;
pub(crate) mod named;
mod problem;
pub mod sagas;
pub mod system;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::FutureExt;
use handfast_core::id::check_name;
use handfast_participants::http::BODY_BYTES_MAX;
use tokio::sync::Semaphore;
use tracing::Instrument;

use self::checks::Rules;
pub use self::problem::Problem;
use crate::{auth::Auth, config::Config, node::Node};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Paths that whoever watches the node may ask, without a token and however busy it is.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];
/// Paths that shards call to end what waits: callers who wait for just that must not keep them out.
const PEER_PATHS: [&str; 2] = ["/v1/messages", "/v1/inquiries/"];
/// Most requests of shards that are served at once.
const PEER_REQUESTS_MAX: usize = 256;
/// Most of a path that is logged.
const LOGGED_CHARS_MAX: usize = 256;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    node: Node,
    rules: Arc<Rules>,
    auth: Arc<Auth>,
    slots: Arc<Semaphore>,
    peer_slots: Arc<Semaphore>,
}

/// The whole API over a node.
pub fn router(node: Node, config: &Config) -> Router {
    let api = Api {
        rules: Arc::new(Rules::new(config, node.cluster())),
        node,
        auth: Arc::new(Auth::new(config)),
        slots: Arc::new(Semaphore::new(config.limits.requests_max)),
        peer_slots: Arc::new(Semaphore::new(PEER_REQUESTS_MAX)),
    };
    // Peers send as much as they may, whatever callers may.
    let messages_limit = DefaultBodyLimit::max(BODY_BYTES_MAX);
    Router::new()
        .route("/v1/transactions", get(transactions::list).post(transactions::begin))
        .route("/v1/transactions/{gid}", get(transactions::show).post(transactions::tell))
        .route("/v1/transactions/{gid}/branches", post(transactions::add))
        .route("/v1/transactions:commit", post(bulk::commit))
        .route("/v1/transactions:abort", post(bulk::abort))
        .route("/v1/transactions:retry", post(bulk::retry))
        .route("/v1/sagas", get(sagas::list))
        .route("/v1/sagas/{name}", get(sagas::show).put(sagas::apply).post(sagas::tell))
        .route("/v1/resources", get(system::resources))
        .route("/v1/resources/{name}", post(system::tell_resource))
        .route("/v1/inquiries/{branch}", get(system::inquire))
        .route("/v1/messages", post(system::messages).layer(messages_limit))
        .route("/openapi.json", get(system::openapi))
        .route("/docs/errors.md", get(system::errors))
        .route("/healthz", get(system::healthz))
        .route("/readyz", get(system::readyz))
        .route("/metrics", get(system::metrics))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(config.limits.body_bytes_max))
        .layer(middleware::from_fn_with_state(api.clone(), admit))
        .layer(middleware::from_fn(observe))
        .with_state(api)
}

/// Gives the request an id, logs how it was answered, and turns a panic into an honest answer.
async fn observe(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(LOGGED_CHARS_MAX).collect();
    let gid = tracing::field::Empty;
    // Of the highest level, so that every line that is written at all has it.
    let span = tracing::error_span!("request", %id, %method, path, gid);
    let answered = async move {
        let began = Instant::now();
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let response = answered.unwrap_or_else(|_| {
            tracing::error!("a handler panicked; what became of the request is unknown");
            let detail = "the request was cut off by a panic: what became of it is unknown";
            Problem::new(&codes::BUG_HERE, detail).into_response()
        });
        let status = response.status().as_u16();
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match response.status().is_success() {
            true => tracing::debug!(status, ms, "answered"),
            false => tracing::info!(status, ms, "answered"),
        }
        response
    };
    let mut response = answered.instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Lets a request in: a free place first, then a token of the right role.
async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    if OPEN_PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let is_peer = PEER_PATHS.iter().any(|path| request.uri().path().starts_with(path));
    let slots = if is_peer { &api.peer_slots } else { &api.slots };
    let Ok(_place) = slots.try_acquire() else {
        let detail = "as many requests are served as may be at once";
        return Problem::new(&codes::BUSY, detail).into_response();
    };
    match api.auth.admit(request.method(), request.uri().path(), request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(denied) => Problem::from(denied).into_response(),
    }
}

/// The caller's own id if it can be logged, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok());
    match given.filter(|id| check_name(id).is_ok()) {
        Some(id) => id.into(),
        None => uuid::Uuid::now_v7().to_string(),
    }
}

async fn no_such_route(uri: Uri) -> Problem {
    Problem::new(&codes::NO_SUCH_ROUTE, format!("nothing is at {:?}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{:?} does not take {method}", uri.path());
    Problem::new(&codes::WRONG_METHOD, detail)
}
