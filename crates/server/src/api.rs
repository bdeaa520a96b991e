//! The HTTP API: routes, and what every request goes through before it reaches its handler.
//!
//! A request is named and logged (`serve`), let in or not (`admit`), read and checked
//! ([`checks`]), and only then given to the node. What it gets back is the transaction as it is
//! known, or a [`Problem`] with a code from [`codes`].

pub mod checks;
pub mod codes;
pub mod transactions;

mod asked;
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
    extract::{Request, State},
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

/// What the handlers share; they all have the same.
type Api = Arc<Shared>;

pub(super) struct Shared {
    node: Node,
    rules: Rules,
    auth: Auth,
    slots: Semaphore,
    peer_slots: Semaphore,
}

/// Whose answer a response is, where its path does not say so.
#[derive(Clone)]
struct Gid(String);

/// The whole API over a node.
pub fn router(node: Node, config: &Config) -> Router {
    let api = Arc::new(Shared {
        rules: Rules::new(config, node.cluster()),
        node,
        auth: Auth::new(config),
        slots: Semaphore::new(config.limits.requests_max),
        peer_slots: Semaphore::new(PEER_REQUESTS_MAX),
    });
    Router::new()
        .route("/v1/transactions", get(transactions::list).post(transactions::begin))
        .route("/v1/transactions/{gid}", get(transactions::show).post(transactions::tell))
        .route("/v1/transactions/{gid}/branches", post(transactions::add))
        .route("/v1/transactions:commit", post(bulk::commit))
        .route("/v1/transactions:abort", post(bulk::abort))
        .route("/v1/transactions:retry", post(bulk::retry))
        .route("/v1/transactions:edit", post(bulk::edit))
        .route("/v1/transactions:resolve", post(bulk::resolve))
        .route("/v1/sagas", get(sagas::list))
        .route("/v1/sagas/{name}", get(sagas::show).put(sagas::apply).post(sagas::tell))
        .route("/v1/resources", get(system::resources))
        .route("/v1/resources/{name}", post(system::tell_resource))
        .route("/v1/inquiries/{branch}", get(system::inquire))
        .route("/v1/messages", post(system::messages))
        .route("/openapi.json", get(system::openapi))
        .route("/docs/errors.md", get(system::errors))
        .route("/healthz", get(system::healthz))
        .route("/readyz", get(system::readyz))
        .route("/metrics", get(system::metrics))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        // One layer for all: each of them costs every request a box.
        .layer(middleware::from_fn_with_state(Arc::clone(&api), serve))
        .with_state(api)
}

/// Gives the request an id, logs how it was answered, and turns a panic into an honest answer.
async fn serve(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let path = || uri.path().chars().take(LOGGED_CHARS_MAX).collect::<String>();
    // Whoever wants to know much gets all lines of a request with its id and gid.
    let span = tracing::debug_span!("request", %id, gid = tracing::field::Empty);
    let began = Instant::now();
    let answered = AssertUnwindSafe(admit(&api, request, next)).catch_unwind();
    let answered = answered.instrument(span.clone()).await;
    let _entered = span.entered();
    let mut response = answered.unwrap_or_else(|_| {
        let why = "a handler panicked; what became of the request is unknown";
        tracing::error!(%id, %method, path = path(), "{why}");
        let detail = "the request was cut off by a panic: what became of it is unknown";
        Problem::new(&codes::BUG_HERE, detail).into_response()
    });
    let status = response.status().as_u16();
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let gid = response.extensions_mut().remove().map(|Gid(gid)| gid);
    match response.status().is_success() {
        true => tracing::debug!(%id, %method, path = path(), status, ms, "answered"),
        false => tracing::info!(%id, %method, path = path(), gid, status, ms, "answered"),
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Lets a request in: a free place first, then a token of the right role.
async fn admit(api: &Shared, mut request: Request, next: Next) -> Response {
    if OPEN_PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let is_peer = PEER_PATHS.iter().any(|path| request.uri().path().starts_with(path));
    // Peers send as much as they may, whatever callers may.
    let (slots, body_max) = match is_peer {
        true => (&api.peer_slots, BODY_BYTES_MAX),
        false => (&api.slots, api.rules.limits.body_bytes_max),
    };
    let Ok(_place) = slots.try_acquire() else {
        let detail = "as many requests are served as may be at once";
        return Problem::new(&codes::BUSY, detail).into_response();
    };
    match api.auth.admit(request.method(), request.uri().path(), request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(body::Bound(body_max));
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
