//! A node dies at every stop of a saga, and comes back: every step is done, or undone, exactly once
//! in its effect, what is delivered is delivered once, and the callers' answers are true.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
};
use handfast_client::{Error, Handfast, Transaction, wire::ListFilter};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{
    BETWEEN_LOOKS, REACHED_WITHIN, Result, SETTLED_WITHIN, case::known, process::Process, said,
};

/// Where the node dies in a saga of two steps and a delivery, all of which succeed.
const COMMITS: &[&str] = &[
    "request_taken",
    "before_sync:1",
    "after_sync:1",
    "before_do.0",
    "after_do.0",
    "before_sync:2",
    "after_sync:2",
    "before_do.1",
    "after_do.1",
    "before_sync:3",
    "after_sync:3",
    "before_reply",
    "before_deliver.2",
    "after_deliver.2",
    "before_flush",
    "after_flush",
];
/// And in one whose third step is refused.
const ABORTS: &[&str] = &[
    "before_do.2",
    "after_do.2",
    "before_sync:4",
    "after_sync:4",
    "before_reply",
    "before_undo.1",
    "after_undo.1",
    "before_undo.0",
    "after_undo.0",
    "before_flush",
    "after_flush",
];

#[test]
fn a_saga_survives_every_stop() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let failed = runtime.block_on(async {
        let mut failed = Vec::new();
        for (point, commits) in
            COMMITS.iter().map(|at| (at, true)).chain(ABORTS.iter().map(|at| (at, false)))
        {
            let mut case = Case::new().await;
            if let Err(why) = story(&mut case, point, commits).await {
                let (heard, node) = (case.service.journal(), case.node.said());
                failed.push(format!("{point}, commits: {commits}: {why}\n{heard:#?}\n{node}"));
            }
        }
        failed
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

async fn story(case: &mut Case, point: &str, commits: bool) -> Result<()> {
    case.node.start(&[("HANDFAST_KILL_AT", point.to_owned())]).await?;
    let saga = saga(&case.hf, "the-one", commits);
    let caller = tokio::spawn(saga.clone().run());
    case.node.died().await?;
    caller.abort();
    let told = caller.await.ok();
    case.node.start(&[]).await?;
    let up = Instant::now();
    let found = match case.hf.wait("the-one", SETTLED_WITHIN).await {
        Ok(outcome) => Some(known("the-one", outcome)?),
        Err(Error::NotFound(_)) => None,
        Err(other) => return Err(said(other)),
    };
    let answer = known("the-one", saga.run().await.map_err(said)?)?;
    if answer != commits || found.is_some_and(|found| found != answer) {
        return Err(format!("found {found:?}, and then {answer}"));
    }
    if let Some(Ok(told)) = told {
        let told = known("the-one", told)?;
        if told != answer {
            return Err(format!("the caller was told {told}"));
        }
    }
    case.settled(up).await?;
    let mut effects = case.service.effects();
    // Refused after a restart: it may have been done before, so it is undone; that changes nothing.
    effects.retain(|_, effect| *effect != (0, 0));
    let wanted: &[(&str, Effects)] = match commits {
        true => &[("a", DONE), ("b", DONE), ("tell", DONE)],
        false => &[("a", UNDONE), ("b", UNDONE)],
    };
    let wanted = wanted.iter().map(|(name, effect)| ((*name).to_owned(), *effect)).collect();
    if effects != wanted {
        return Err(format!("wrong effects: {effects:?}, and not {wanted:?}"));
    }
    Ok(())
}

fn saga(hf: &Handfast, gid: &str, commits: bool) -> Transaction {
    let two = hf.transaction(gid).step("a", "svc", "POST /a").undo("DELETE /a");
    let two = two.step("b", "svc", "POST /b").undo("DELETE /b");
    match commits {
        true => two.deliver("tell", "svc", "POST /tell"),
        false => two.step("c", "svc", "POST /refused").undo("DELETE /refused"),
    }
}

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

/// How often a step took effect, and how often that was taken back.
type Effects = (u32, u32);
const DONE: Effects = (1, 0);
const UNDONE: Effects = (1, 1);

/// A service in this process, which outlives the node. It keeps what a barrier keeps.
struct Service {
    url: String,
    state: Arc<Mutex<Journal>>,
}

#[derive(Default)]
struct Journal {
    heard: Vec<String>,
    /// By branch: whether it is undone.
    branches: BTreeMap<String, bool>,
    effects: BTreeMap<String, Effects>,
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

    fn journal(&self) -> Vec<String> {
        self.state.lock().unwrap().heard.clone()
    }

    fn effects(&self) -> BTreeMap<String, Effects> {
        self.state.lock().unwrap().effects.clone()
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
    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let (verb, branch, gid) =
        (header("handfast-call"), header("handfast-branch"), header("handfast-transaction"));
    let name = request.uri().path().trim_start_matches('/').to_owned();
    let mut journal = state.lock().unwrap();
    journal.heard.push(format!("{verb} {name} of {branch}"));
    match name.as_str() {
        "refused" if verb == "do" => return StatusCode::CONFLICT,
        "tell" if journal.is_away => return StatusCode::SERVICE_UNAVAILABLE,
        "slow" if !journal.is_prompt => return StatusCode::ACCEPTED,
        _ => {}
    }
    let before = journal.branches.get(&branch).copied();
    let effects = journal.effects.entry(name.clone()).or_default();
    match (verb.as_str(), before) {
        ("do", None) => effects.0 += 1,
        ("do", Some(true)) => return StatusCode::CONFLICT,
        ("undo", Some(false)) => effects.1 += 1,
        _ => {}
    }
    if (name.as_str(), before) == ("tell", None) {
        journal.delivered.push(gid);
    }
    let is_undone = verb == "undo";
    journal.branches.insert(branch, is_undone);
    StatusCode::OK
}
