//! Whole transactions through the API, over two shards on real sockets.

use std::time::Duration;

use handfast_server::shard::{ShardConfig, ShardServer};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::requests::World;

const AMPLE: Duration = Duration::from_secs(20);

struct Bank {
    url: String,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    _dir: TempDir,
}

impl Bank {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let config = ShardConfig::new(dir.path().join("data"), "127.0.0.1:0".parse().unwrap());
        let shard = ShardServer::open(config).await.unwrap();
        let url = format!("http://{}", shard.address());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = shard.serve(async move { drop(stopped.await) });
        let server = tokio::spawn(async move { served.await.unwrap() });
        Self { url, stop, server, _dir: dir }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap();
    }
}

/// Two banks, each with 100 in `alice`, and a node over them.
async fn banks() -> (World, Bank, Bank) {
    let (left, right) = (Bank::start().await, Bank::start().await);
    let world =
        World::new(&[("resources.left.url", &left.url), ("resources.right.url", &right.url)]);
    let put = json!([{ "op": "put", "key": "alice", "value": 100 }]);
    let answer = world.post("/v1/transactions", both("fill", put.clone(), put)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    (world, left, right)
}

fn both(gid: &str, left: Json, right: Json) -> Json {
    json!({ "gid": gid, "ack": "applied", "branches": [
        { "name": "debit", "resource": "left", "keys": left },
        { "name": "credit", "resource": "right", "keys": right },
    ] })
}

fn transfer(gid: &str, amount: i64) -> Json {
    both(
        gid,
        json!([{ "op": "add", "key": "alice", "by": -amount, "min": 0 }]),
        json!([{ "op": "add", "key": "alice", "by": amount }]),
    )
}

async fn balances(world: &World, gid: &str) -> [Json; 2] {
    let get = json!([{ "op": "get", "key": "alice" }]);
    let answer = world.post("/v1/transactions", both(gid, get.clone(), get)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    let of = |branch: &str| answer.body["results"][branch][0]["rows"][0][1].clone();
    [of("debit"), of("credit")]
}

#[tokio::test]
async fn a_transfer_commits_everywhere_or_nowhere() {
    let (world, left, right) = banks().await;
    let done = world.post("/v1/transactions", transfer("t1", 30)).await;
    assert_eq!(done.status.as_u16(), 200, "{}", done.body);
    assert_eq!((&done.body["outcome"], &done.body["gid"]), (&json!("committed"), &json!("t1")));
    assert_eq!(balances(&world, "b1").await, [json!(70), json!(130)]);

    let poor = world.post("/v1/transactions", transfer("t2", 71)).await;
    assert_eq!((poor.status.as_u16(), poor.code()), (409, "condition_failed"));
    assert_eq!((&poor.body["branch"], &poor.body["retryable"]), (&json!("debit"), &json!(false)));
    assert_eq!(balances(&world, "b2").await, [json!(70), json!(130)]);

    let again = world.post("/v1/transactions", transfer("t1", 30)).await;
    assert_eq!(again.status.as_u16(), 200, "{}", again.body);
    assert_eq!(balances(&world, "b3").await, [json!(70), json!(130)]);

    let listed = world.get("/v1/transactions?prefix=t1&resource=left").await;
    assert_eq!(listed.body["transactions"][0]["gid"], "t1", "{}", listed.body);
    let shown = world.get("/v1/transactions/t1").await;
    assert!(shown.body["timeline"].as_array().is_some_and(|t| !t.is_empty()), "{}", shown.body);
    left.stop().await;
    right.stop().await;
}

#[tokio::test]
async fn a_held_transaction_waits_for_its_verb() {
    let (world, left, right) = banks().await;
    let held = |gid: &str| {
        let mut body = transfer(gid, 10);
        body["hold"] = json!(true);
        body
    };
    let first = world.post("/v1/transactions", held("h1")).await;
    assert_eq!((first.status.as_u16(), &first.body["outcome"]), (202, &json!("unknown")));
    assert_eq!(first.body["state"], "held", "all have voted: {}", first.body);
    assert_eq!(first.headers["location"], "/v1/transactions/h1");
    let told = world.post("/v1/transactions/h1:commit", "").await;
    assert_eq!((told.status.as_u16(), &told.body["outcome"]), (200, &json!("committed")));
    told_of_both(&told.body, &["committing", "committed"]);
    let late = world.post("/v1/transactions/h1:abort", "").await;
    assert_eq!(late.status.as_u16(), 409, "{}", late.body);
    let twice = world.post("/v1/transactions/h1:commit", "").await;
    assert_eq!(twice.status.as_u16(), 200, "{}", twice.body);

    world.post("/v1/transactions", held("h2")).await;
    let seen = json!({ "branch": "debit", "outcome": "aborted", "reason": "r" });
    let early = world.post("/v1/transactions/h2:resolve", seen).await;
    let why = "it is held, and waits for `:commit` or `:abort`";
    assert_eq!((early.code(), &early.body["detail"]), ("wrong_state", &json!(why)));
    let because = json!({ "reason": "changed my mind" });
    let told = world.post("/v1/transactions/h2:abort", because).await;
    assert_eq!((told.status.as_u16(), &told.body["outcome"]), (200, &json!("aborted")));
    told_of_both(&told.body, &["aborting", "aborted"]);
    let late = world.post("/v1/transactions/h2:commit", "").await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "caller_abort"), "{}", late.body);
    world.post("/v1/transactions", held("h3")).await;
    let told = world.post("/v1/transactions/h3:abort", "").await;
    assert_eq!(told.body["reason"]["message"], "no reason given (by anonymous)", "{}", told.body);
    assert_eq!(balances(&world, "b1").await, [json!(90), json!(110)]);
    left.stop().await;
    right.stop().await;
}

/// An answer to a verb says in which state that left the transaction, with all of its branches.
fn told_of_both(body: &Json, states: &[&str]) {
    assert!(states.iter().any(|state| body["state"] == *state), "{body}");
    let branches = body["branches"].as_array().unwrap();
    let names: Vec<_> = branches.iter().map(|branch| &branch["name"]).collect();
    assert_eq!(names, ["debit", "credit"], "{body}");
    assert!(branches.iter().all(|branch| branch["state"] != "prepared"), "{body}");
}

/// How many times were measured under these labels; none if none can be.
fn measured(metrics: &str, name: &str, labels: &str) -> Option<u64> {
    let start = format!("handfast_{name}_count{{{labels}}} ");
    metrics.lines().find_map(|line| line.strip_prefix(start.as_str())?.parse().ok())
}

#[tokio::test]
async fn times_are_measured_from_begin_to_decision_and_end_and_of_every_call() {
    let (world, left, right) = banks().await;
    world.post("/v1/transactions", transfer("t1", 30)).await;
    world.post("/v1/transactions", transfer("t1", 30)).await;
    world.post("/v1/transactions", transfer("t2", 71)).await;
    balances(&world, "b1").await;
    let metrics = async || world.get("/metrics").await.body.as_str().unwrap().to_owned();
    // An abort is answered before its branches have heard of it.
    let aborted = r#"until="applied",outcome="aborted""#;
    let text = tokio::time::timeout(AMPLE, async {
        loop {
            let text = metrics().await;
            if measured(&text, "transaction_seconds", aborted).is_some() {
                return text;
            }
            tokio::task::yield_now().await;
        }
    });
    let text = text.await.expect("it ends");
    let took = |labels| measured(&text, "transaction_seconds", labels);
    // The filling, one transfer, and one that only read; a request that is repeated is none.
    assert_eq!(took(r#"until="decided",outcome="committed""#), Some(3), "{text}");
    assert_eq!(took(r#"until="applied",outcome="committed""#), Some(3), "{text}");
    assert_eq!(took(r#"until="decided",outcome="aborted""#), Some(1), "{text}");
    assert_eq!(took(aborted), Some(1), "{text}");
    let calls = |labels| measured(&text, "call_seconds", labels);
    assert_eq!(calls(r#"resource="left",call="prepare""#), Some(4), "{text}");
    assert_eq!(calls(r#"resource="left",call="commit""#), Some(2), "{text}");
    assert_eq!(calls(r#"resource="right",call="abort""#), Some(1), "{text}");
    assert_eq!(calls(r#"resource="right",call="hold""#), Some(0), "{text}");
    left.stop().await;
    right.stop().await;
}

/// A branch that cannot be told says when it will be told again.
#[tokio::test]
async fn a_branch_in_doubt_says_when_it_is_tried_again() {
    let (world, left, right) = banks().await;
    let mut body = transfer("h1", 10);
    body["hold"] = json!(true);
    world.post("/v1/transactions", body).await;
    right.stop().await;
    let told = world.post("/v1/transactions/h1:commit", "").await;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    let next = async {
        loop {
            let shown = world.get("/v1/transactions/h1").await;
            assert_eq!(shown.body["branches"][0]["next_attempt_at_ms"], Json::Null);
            let branch = &shown.body["branches"][1];
            assert_eq!(branch["state"], "in-doubt", "{}", shown.body);
            if let Some(at_ms) = branch["next_attempt_at_ms"].as_u64() {
                return at_ms;
            }
            tokio::task::yield_now().await;
        }
    };
    let at_ms = tokio::time::timeout(AMPLE, next).await.expect("it is to be tried again");
    let now_ms = handfast_server::driver::now_ms();
    assert!(at_ms <= now_ms + 10_000 && at_ms + 10_000 >= now_ms, "{at_ms} at {now_ms}");
    left.stop().await;
}
