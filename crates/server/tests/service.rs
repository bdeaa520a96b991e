//! A service that answers as a test says, and remembers what it heard.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::Value as Json;
use tokio::sync::watch;

use crate::services::AMPLE;

/// One request, as it came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Such as `POST /book`.
    pub call: String,
    /// Such as `do`.
    pub verb: String,
    pub gid: String,
    pub branch: String,
    pub key: String,
    pub attempt: String,
    pub trace: String,
    pub content_type: String,
    pub body: Json,
}

/// A status and a body; status 0 is no answer at all.
type Answers = dyn Fn(&Heard) -> (u16, Json) + Send + Sync;

#[derive(Clone)]
pub struct Service {
    /// Its address as a resource.
    pub url: String,
    answers: Arc<Mutex<Arc<Answers>>>,
    heard: watch::Sender<Vec<Heard>>,
}

impl Service {
    pub async fn start(answers: impl Fn(&Heard) -> (u16, Json) + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answers).await
    }

    pub async fn start_at(
        address: &str,
        answers: impl Fn(&Heard) -> (u16, Json) + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let service = Self {
            url: format!("service+http://{}", listener.local_addr().unwrap()),
            answers: Arc::new(Mutex::new(Arc::new(answers))),
            heard: watch::Sender::new(Vec::new()),
        };
        let app = Router::new().fallback(hear).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        service
    }

    /// From now on it answers so.
    pub fn answer(&self, answers: impl Fn(&Heard) -> (u16, Json) + Send + Sync + 'static) {
        *self.answers.lock().unwrap() = Arc::new(answers);
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.borrow().clone()
    }

    /// Such as `do POST /book`, in order.
    pub fn calls(&self) -> Vec<String> {
        self.heard().iter().map(|heard| format!("{} {}", heard.verb, heard.call)).collect()
    }

    /// Waits until it heard so many.
    pub async fn hears(&self, count: usize) {
        let mut heard = self.heard.subscribe();
        let enough = tokio::time::timeout(AMPLE, heard.wait_for(|heard| heard.len() >= count));
        let came = enough.await.is_ok();
        assert!(came, "only {:?}", self.calls());
    }
}

async fn hear(State(service): State<Service>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        let value = parts.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    };
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let heard = Heard {
        call: format!("{} {}", parts.method, parts.uri),
        verb: header("handfast-call"),
        gid: header("handfast-transaction"),
        branch: header("handfast-branch"),
        key: header("idempotency-key"),
        attempt: header("handfast-attempt"),
        trace: header("traceparent"),
        content_type: header("content-type"),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    };
    let answers = Arc::clone(&service.answers.lock().unwrap());
    let (status, body) = answers(&heard);
    service.heard.send_modify(|all| all.push(heard));
    match status {
        0 => std::future::pending().await,
        _ => {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
    }
}
