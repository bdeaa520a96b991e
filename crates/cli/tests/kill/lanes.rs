//! Ordered deliveries over the death of a node.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
};
use handfast_client::{Handfast, wire::ListFilter};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{
    BETWEEN_LOOKS, REACHED_WITHIN, Result, SETTLED_WITHIN, case::known, process::Process, said,
};

/// Decided in another order than begun, undelivered, and then the node is killed.
#[test]
fn ordered_deliveries_keep_the_order_of_their_decisions_over_a_kill() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(ordered()).unwrap();
}

async fn ordered() -> Result<()> {
    let mut case = Case::new().await;
    case.node.start(&[]).await?;
    case.service.is_away(true);
    let message = |gid: &str| case.hf.transaction(gid).deliver("tell", "svc", "POST /tell");
    // The first to begin waits for a step that is in progress.
    let slow = case.hf.transaction("begun-first").step("slow", "svc", "POST /slow");
    let slow = slow.deliver("tell", "svc", "POST /tell").order_key("k").no_wait();
    drop(slow.run().await.map_err(said)?);
    let mut wanted = Vec::new();
    for number in 0..5 {
        let gid = format!("m{number}");
        known(&gid, message(&gid).order_key("k").run().await.map_err(said)?)?;
        wanted.push(gid);
    }
    case.service.is_slow(false);
    let until = Instant::now() + REACHED_WITHIN;
    while case.hf.get("begun-first").await.map_err(said)?.outcome
        != handfast_client::wire::Outcome::Committed
    {
        assert!(Instant::now() < until, "it is not decided");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    wanted.push("begun-first".into());
    case.node.signal(Signal::KILL);
    case.node.died().await?;
    case.service.is_away(false);
    case.node.start(&[]).await?;
    case.settled(Instant::now()).await?;
    let told = case.service.delivered();
    if told != wanted {
        return Err(format!("wrong order: {told:?}, and not {wanted:?}"));
    }
    Ok(())
}

struct Case {
    node: Process,
    service: Service,
    hf: Handfast,
    /// Declared last: the process is gone when it is removed.
    _directory: TempDir,
}

impl Case {
    async fn new() -> Self {
        let (directory, service) = (TempDir::new().unwrap(), Service::start().await);
        let mut node = Process::new(directory.path(), "node", &["serve"]);
        node.arg(["--resource", &format!("svc={}", service.url)]);
        let hf = Handfast::builder(&node.url).build().unwrap();
        Self { node, service, hf, _directory: directory }
    }

    async fn settled(&self, up: Instant) -> Result<()> {
        let open = ListFilter { state: Some("open".into()), ..ListFilter::default() };
        while !self.hf.list(&open).await.map_err(said)?.transactions.is_empty() {
            if up.elapsed() > SETTLED_WITHIN {
                return Err("not settled in time".into());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }
}

/// A service in this process, which outlives the node.
struct Service {
    url: String,
    state: Arc<Mutex<Journal>>,
}

#[derive(Default)]
struct Journal {
    /// The gids of messages, in the order of their first arrival.
    delivered: Vec<String>,
    is_away: bool,
    is_prompt: bool,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("service+http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<Journal>>::default();
        let router = Router::new().fallback(hear).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    fn delivered(&self) -> Vec<String> {
        self.state.lock().unwrap().delivered.clone()
    }

    /// Whether deliveries fail.
    fn is_away(&self, is_away: bool) {
        self.state.lock().unwrap().is_away = is_away;
    }

    /// Whether the slow step is in progress.
    fn is_slow(&self, is_slow: bool) {
        self.state.lock().unwrap().is_prompt = !is_slow;
    }
}

async fn hear(State(state): State<Arc<Mutex<Journal>>>, request: Request) -> StatusCode {
    let gid = request.headers()["handfast-transaction"].to_str().unwrap().to_owned();
    let mut journal = state.lock().unwrap();
    match request.uri().path() {
        "/tell" if journal.is_away => return StatusCode::SERVICE_UNAVAILABLE,
        "/slow" if !journal.is_prompt => return StatusCode::ACCEPTED,
        "/tell" if !journal.delivered.contains(&gid) => journal.delivered.push(gid),
        _ => {}
    }
    StatusCode::OK
}
