//! Transactions that shards can finish without their node: who may have them, and what is said.

use std::{future::IntoFuture, net::TcpListener, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use handfast_participants::{
    http::{CallSettings, Caller},
    tls,
};
use handfast_server::shard::{Remote, ShardConfig, ShardServer};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::requests::{World, nowhere};

pub const AMPLE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_way_that_a_branch_cannot_go_is_refused_by_its_name() {
    let bare = Bank::start("shard", &[], None).await;
    let world = World::new(&[("resources.bare.url", &bare.url)]);
    ready(&world).await;
    let branch = |resource: &str| match resource {
        "bank" => json!({ "name": "b", "resource": "bank", "sql": [["SELECT 1"]] }),
        _ => json!({ "name": "b", "resource": resource, "keys": [{ "op": "get", "key": "k" }] }),
    };
    let begin = |decide: &str, resource: &str, hold: bool| {
        let branches = [branch(resource)];
        json!({ "gid": "g1", "decide": decide, "hold": hold, "branches": branches })
    };
    let cases = [
        (begin("paxos", "bank", false), Some("b"), "`bank` (postgres) has no peers"),
        (begin("three_phase", "bare", false), Some("b"), "`bare` (http) has no peers"),
        (begin("three_phase", "bare", true), None, "held"),
    ];
    for (body, branch, why) in cases {
        let answer = world.post("/v1/transactions", &body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "decide_unsupported"), "{body}");
        assert_eq!(answer.body["branch"].as_str(), branch, "{body}");
        assert!(answer.body["detail"].as_str().unwrap().contains(why), "{}", answer.body);
    }
    let unknown = world.post("/v1/transactions", begin("by_lot", "bare", false)).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (422, "wrong_shape"));
    assert_eq!(world.get("/v1/transactions/g1").await.status, StatusCode::NOT_FOUND);
    let by_log = world.post("/v1/transactions", begin("log", "bare", false)).await;
    assert_eq!(by_log.status, StatusCode::OK, "{}", by_log.body);
    // What one that is away can do is not known: that passes, and is no fault of the request.
    let mut away = begin("three_phase", "shard", false);
    away["gid"] = json!("g2");
    let answer = world.post("/v1/transactions", &away).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (409, "resource_down"), "{}", answer.body);
    away["decide"] = json!("paxos");
    away["gid"] = json!("g3");
    let answer = world.post("/v1/transactions", &away).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "not_ready"), "{}", answer.body);
}

#[tokio::test]
async fn a_shard_of_another_name_is_no_peer() {
    let other = nowhere();
    let peers = [("left", other.as_str())];
    let bank = Bank::start("right", &peers, None).await;
    let world = World::new(&[("resources.wrong.url", &bank.url)]);
    ready(&world).await;
    let keys = json!([{ "op": "get", "key": "k" }]);
    let body = json!({ "decide": "paxos",
        "branches": [{ "name": "b", "resource": "wrong", "keys": keys }] });
    let answer = world.post("/v1/transactions", body).await;
    assert_eq!(answer.code(), "decide_unsupported");
    assert!(answer.body["detail"].as_str().unwrap().contains("`right`"), "{}", answer.body);
}

#[tokio::test]
async fn each_way_commits_and_aborts_over_shards_that_know_each_other() {
    let pair = Pair::start().await;
    for decide in ["log", "three_phase", "paxos"] {
        let gid = format!("t-{decide}");
        let done = pair.world.post("/v1/transactions", transfer(&gid, decide, 30)).await;
        assert_eq!(done.status, StatusCode::OK, "{decide}: {}", done.body);
        assert_eq!(done.body["outcome"], "committed", "{decide}");
        let shown = pair.world.get(&format!("/v1/transactions/{gid}")).await;
        assert_eq!(shown.body["decide"].as_str().unwrap_or("log"), decide, "{}", shown.body);
        let poor = transfer(&format!("poor-{decide}"), decide, 1_000);
        let poor = pair.world.post("/v1/transactions", poor).await;
        assert_eq!((poor.status.as_u16(), poor.code()), (409, "condition_failed"), "{decide}");
        assert_eq!(poor.body["branch"], "debit", "{decide}");
    }
    for (bank, holds) in [(&pair.left, 10), (&pair.right, 190)] {
        let keys = bank.get("/v1/keys?prefix=alice").await;
        assert_eq!(keys["keys"][0]["value"]["int"], holds);
        assert_eq!(bank.get("/v1/branches").await["in_doubt"], json!([]));
    }
    let resources = pair.world.get("/v1/resources").await;
    let peers: Vec<_> = resources.body.as_array().unwrap().iter().map(|r| &r["peer"]).collect();
    assert!(peers.contains(&&json!("left")) && peers.contains(&&json!("right")), "{peers:?}");
    // What is long finished is found by its run, should a shard still ask.
    let finished = pair.world.get("/v1/transactions/t-paxos").await;
    let branch = finished.body["branches"][0]["id"].as_str().unwrap().to_owned();
    let inquiry = pair.world.get(&format!("/v1/inquiries/{branch}")).await;
    assert_eq!(inquiry.body["decision"], "commit", "{}", inquiry.body);
    // The same gid decided in another way would be another transaction.
    let other = pair.world.post("/v1/transactions", transfer("t-paxos", "log", 30)).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "other_content"));
}

#[tokio::test]
async fn configured_acceptors_are_used_and_must_be_known_to_all() {
    let pair = Pair::start_with(&[("paxos_acceptors", "left, shard")]).await;
    let answer = pair.world.post("/v1/transactions", transfer("t", "paxos", 1)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "request_refused"));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("has no `--peer` for `shard`"), "{detail}");
    // And that can be known before.
    let findings = peers_finding(&pair.world, "left").await;
    assert_eq!((&findings["level"], &findings["code"]), (&json!("warning"), &json!("peers")));
    let message = findings["message"].as_str().unwrap();
    assert!(message.starts_with("it has no `--peer shard=…`: "), "{message}");
}

/// What a check of a resource says of its peers.
async fn peers_finding(world: &World, resource: &str) -> Json {
    let answer = world.post(&format!("/v1/resources/{resource}:check"), json!({})).await;
    let findings = answer.body["findings"].as_array().unwrap_or_else(|| panic!("{}", answer.body));
    findings.iter().find(|one| one["code"] == "peers").cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_check_says_whom_a_shard_does_not_know() {
    let pair = Pair::start().await;
    for resource in ["left", "right"] {
        let finding = peers_finding(&pair.world, resource).await;
        assert_eq!(finding["level"], "ok", "{finding}");
    }
    let peer = nowhere();
    let bare = Bank::start("bare", &[], None).await;
    let lone = Bank::start("lone", &[("left", &peer)], Some(&peer)).await;
    let left = Bank::start("left", &[("right", &peer)], Some(&peer)).await;
    let world = World::new(&[
        ("cluster", "them"),
        ("resources.bare.url", &bare.url),
        ("resources.lone.url", &lone.url),
        ("resources.left.url", &left.url),
    ]);
    ready(&world).await;
    let finding = peers_finding(&world, "left").await;
    let message = finding["message"].as_str().unwrap();
    assert!(message.starts_with("it has no `--peer lone=…`, no `--coordinator them=…`: "));
    let finding = peers_finding(&world, "lone").await;
    let message = finding["message"].as_str().unwrap();
    assert!(message.starts_with("it has no `--coordinator them=…`: "), "{message}");
    // One that takes part in no pact, or is away, lacks nobody.
    for resource in ["bare", "shard"] {
        assert_eq!(peers_finding(&world, resource).await, Json::Null);
    }
}

/// What is refused, and why; then what is taken and leads to nothing.
#[tokio::test]
async fn a_node_takes_only_messages_for_itself() {
    let world = World::new(&[("cluster", "us"), ("limits.body_bytes_max", "1024")]);
    for (body, status, code) in wrong_bodies() {
        let answer = world.post("/v1/messages", &body).await;
        let shown = &body[..body.len().min(80)];
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{shown}");
    }
    let taken = async |message: Json| {
        let answer = world.post("/v1/messages", json!({ "messages": [message] })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["taken"].as_u64().unwrap()
    };
    let told = json!({ "kind": "decided", "to": 0, "commit": true });
    assert_eq!(taken(message("them", told.clone())).await, 0, "of another cluster");
    let to_a_shard = json!({ "kind": "decided", "to": 1, "commit": true });
    assert_eq!(taken(message("us", to_a_shard)).await, 0, "for a shard");
    let nobody = json!({ "kind": "decided", "to": 9, "commit": true });
    assert_eq!(taken(message("us", nobody)).await, 0, "for nobody");
    for (field, value) in [
        ("acceptors", json!(["left"])),
        ("members", json!([])),
        ("members", json!(["no name"])),
        ("gid", json!("x".repeat(65))),
        ("run", json!({ "epoch": 4_000_000_000_u32, "number": 1 })),
    ] {
        let mut unsound = message("us", told.clone());
        unsound["pact"][field] = value;
        assert_eq!(taken(unsound.clone()).await, 0, "{unsound}");
    }
    // Of a run that nobody knows, and with numbers that no honest peer sends.
    for word in words(u64::MAX, 255).into_iter().chain(words(0, 0)) {
        taken(message("us", word)).await;
    }
    assert_eq!(taken(message("us", told.clone())).await, 1);
    let answer = world.post("/v1/messages", with_garbled(message("us", told))).await;
    assert_eq!((answer.status, &answer.body["taken"]), (StatusCode::OK, &json!(2)));
    assert_eq!(world.get("/v1/transactions/g").await.status, StatusCode::NOT_FOUND);
    let metrics = world.get("/metrics").await;
    assert!(metrics.body.as_str().unwrap().contains("handfast_messages_dropped_total"));
}

#[tokio::test]
async fn a_shard_takes_only_messages_about_those_whom_it_knows() {
    let peer = nowhere();
    let bank = Bank::start("left", &[("right", &peer)], Some(&peer)).await;
    for (body, status, _) in wrong_bodies() {
        assert_eq!(bank.send(&body).await, status, "{}", &body[..body.len().min(80)]);
    }
    let taken = async |message: Json| {
        let body = json!({ "messages": [message] }).to_string();
        let (status, answer) = bank.call(Method::POST, "/v1/messages", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        serde_json::from_str::<Json>(&answer).unwrap()["taken"].as_u64().unwrap()
    };
    let told = json!({ "kind": "decided", "to": 1, "commit": true });
    let mut of_strangers = message("us", told.clone());
    of_strangers["pact"]["members"] = json!(["left", "stranger"]);
    assert_eq!(taken(of_strangers).await, 0);
    let for_right = json!({ "kind": "decided", "to": 2, "commit": true });
    assert_eq!(taken(message("us", for_right)).await, 0);
    assert_eq!(bank.get("/v1/peers").await["unknown"], 2);
    for word in words(u64::MAX, 255).into_iter().chain(words(0, 0)).chain(words(3, 1)) {
        taken(message("us", word)).await;
    }
    assert_eq!(taken(message("us", told.clone())).await, 1, "of a run that nobody knows");
    let body = with_garbled(message("us", told)).to_string();
    let (status, answer) = bank.call(Method::POST, "/v1/messages", &body).await;
    assert_eq!((status, answer.as_str()), (StatusCode::OK, r#"{"taken":2}"#));
    assert_eq!(bank.get("/v1/branches").await["in_doubt"], json!([]));
    assert_eq!(bank.get("/v1/peers").await["name"], "left");
}

/// Its node is dead, and the acceptors say that they have forgotten the run.
#[tokio::test]
async fn a_shard_says_why_a_branch_is_stuck() {
    let peer = nowhere();
    let bank = Bank::start("left", &[("right", &peer)], Some(&peer)).await;
    let retired = message("us", json!({ "kind": "retired", "ballot": 4, "acceptor": 0 }));
    let mut other = retired.clone();
    other["word"]["acceptor"] = json!(2);
    let body = json!({ "work": { "keys": [{ "op": "add", "key": "k", "by": 1 }] },
                       "within_ms": 1_000, "pact": retired["pact"] });
    let branch = "hf1_us_1_1_0";
    let path = format!("/v1/branches/{branch}/prepare");
    let (status, answer) = bank.call(Method::POST, &path, &body.to_string()).await;
    assert_eq!((status, answer.contains("yes")), (StatusCode::OK, true), "{answer}");
    let messages = json!({ "messages": [retired, other] }).to_string();
    let stuck = tokio::time::timeout(AMPLE, async {
        loop {
            assert_eq!(bank.send(&messages).await, 200);
            if let Some(why) = bank.get("/v1/branches").await["in_doubt"][0]["stuck"].as_str() {
                return why.to_owned();
            }
        }
    });
    let stuck = stuck.await.expect("it does not say that it is stuck");
    assert!(stuck.contains("(prepared: 1, forgotten: 0, silent: 1)"), "{stuck}");
    // An operator says how it ended.
    let path = format!("/v1/branches/{branch}/commit");
    assert_eq!(bank.call(Method::POST, &path, "").await.0, StatusCode::OK);
    assert_eq!(bank.get("/v1/branches").await["in_doubt"], json!([]));
}

#[tokio::test]
async fn a_shard_does_not_prepare_in_a_pact_that_it_could_not_keep() {
    let peer = nowhere();
    let bank = Bank::start("left", &[("right", &peer)], Some(&peer)).await;
    let prepare = async |branch: &str, pact: &Json| {
        let body = json!({ "work": { "keys": [{ "op": "add", "key": "k", "by": 1 }] },
            "within_ms": 1_000, "pact": pact });
        let path = format!("/v1/branches/{branch}/prepare");
        let (status, answer) = bank.call(Method::POST, &path, &body.to_string()).await;
        (status.as_u16(), answer)
    };
    let sound = message("us", Json::Null)["pact"].clone();
    for (branch, field, value, status, why) in [
        ("hf1_us_1_1_1", "gid", json!("g"), 400, "called `left`, not"),
        ("hf1_us_1_1_2", "gid", json!("g"), 400, "called `left`, not"),
        ("hf1_us_1_1_0", "members", json!(["left", "far"]), 400, "no `--peer` for `far`"),
        ("hf1_us_1_1_0", "acceptors", json!(["right", "far"]), 400, "no `--peer` for `far`"),
        ("hf1_us_1_3_0", "gid", json!("g"), 200, "bad_pact"),
        ("hf1_them_1_1_0", "gid", json!("g"), 200, "bad_pact"),
        ("hf1_us_1_1_0", "acceptors", json!(["right"]), 200, "bad_pact"),
    ] {
        let mut pact = sound.clone();
        pact[field] = value;
        let (found, answer) = prepare(branch, &pact).await;
        assert_eq!(found, status, "{pact}: {answer}");
        assert!(answer.contains(why) && !answer.contains("yes"), "{answer}");
    }
    let mut elsewhere = sound.clone();
    elsewhere["cluster"] = json!("them");
    let (_, answer) = prepare("hf1_them_1_1_0", &elsewhere).await;
    assert!(answer.contains("no `--coordinator` for cluster them"), "{answer}");
    let mut another = sound;
    another["run"]["number"] = json!(2);
    let (_, answer) = prepare("hf1_us_1_2_0", &another).await;
    assert!(answer.contains("yes"), "{answer}");
}

#[tokio::test]
async fn an_inquiry_about_another_clusters_branch_is_never_answered_with_abort() {
    let world = World::new(&[("cluster", "us")]);
    let ours = world.get("/v1/inquiries/hf1_us_1_1_0").await;
    assert_eq!(ours.body["decision"], "abort", "{}", ours.body);
    let theirs = world.get("/v1/inquiries/hf1_them_1_1_0").await;
    assert_eq!((theirs.status.as_u16(), theirs.code()), (404, "no_such_transaction"));
}

#[tokio::test]
async fn messages_need_the_highest_role() {
    let digest = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
    let world = World::new(&[
        ("cluster", "us"),
        ("auth.tokens.app.role", "write"),
        ("auth.tokens.app.sha256", digest),
    ]);
    let mut request = Request::post("/v1/messages").header("content-type", "application/json");
    let stranger = world.post("/v1/messages", json!({ "messages": [] })).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    request = request.header("authorization", "Bearer 12345");
    let body = Body::from(json!({ "messages": [] }).to_string());
    let writer = world.send(request.body(body).unwrap()).await;
    assert_eq!((writer.status.as_u16(), writer.code()), (403, "forbidden"));
}

/// Bodies that are no messages, with what they get.
fn wrong_bodies() -> Vec<(String, u16, &'static str)> {
    let told = json!({ "kind": "decided", "to": 0, "commit": true });
    let many = |count| json!({ "messages": vec![message("us", told.clone()); count] }).to_string();
    assert!(many(64).len() > 1024);
    vec![
        ("{".into(), 400, "malformed_json"),
        ("{}".into(), 422, "wrong_shape"),
        (json!({ "messages": 1 }).to_string(), 422, "wrong_shape"),
        (many(65), 422, "wrong_shape"),
        (" ".repeat((1 << 20) + 1), 413, "body_too_large"),
    ]
}

/// A good message before and behind such as no version of today says.
fn with_garbled(good: Json) -> Json {
    let later = message("us", json!({ "kind": "hello" }));
    json!({ "messages": [good.clone(), later, {}, 1, "x", null, good] })
}

/// One of each kind, with these numbers.
fn words(ballot: u64, number: u8) -> Vec<Json> {
    let proposal = json!({ "ballot": ballot, "value": "prepared" });
    let (acceptor, member, by) = (number, number, number);
    vec![
        json!({ "kind": "voted", "member": member, "acceptor": acceptor }),
        json!({ "kind": "claim", "ballot": ballot, "acceptor": acceptor }),
        json!({ "kind": "promise", "ballot": ballot, "acceptor": acceptor, "accepted": proposal }),
        json!({ "kind": "accept", "proposal": proposal, "acceptor": acceptor }),
        json!({ "kind": "accepted", "proposal": proposal, "acceptor": acceptor }),
        json!({ "kind": "outbid", "ballot": ballot, "acceptor": acceptor, "promised": ballot }),
        json!({ "kind": "decided", "to": number, "commit": true }),
        json!({ "kind": "pre_commit", "by": by, "member": member }),
        json!({ "kind": "pre_committed", "by": by, "member": member }),
        json!({ "kind": "asked", "by": by, "member": member, "leads": true }),
        json!({ "kind": "led", "by": by, "member": 0, "leader": number }),
        json!({ "kind": "retired", "ballot": ballot, "acceptor": acceptor }),
        json!({ "kind": "told", "by": by, "member": member, "stage": "committed",
            "recovering": false }),
        json!({ "kind": "forgotten", "by": by, "member": member }),
    ]
}

fn message(cluster: &str, word: Json) -> Json {
    let run = json!({ "epoch": 1, "number": 1 });
    json!({ "word": word, "pact": { "cluster": cluster, "run": run, "gid": "g", "way": "paxos",
        "members": ["left", "right"], "acceptors": ["left", "right"] } })
}

fn transfer(gid: &str, decide: &str, amount: i64) -> Json {
    let add = |by: i64| json!([{ "op": "add", "key": "alice", "by": by, "min": 0 }]);
    json!({ "gid": gid, "decide": decide, "ack": "applied", "branches": [
        { "name": "debit", "resource": "left", "keys": add(-amount) },
        { "name": "credit", "resource": "right", "keys": add(amount) },
    ] })
}

/// Waits until the node has seen its resources.
async fn ready(world: &World) {
    while world.get("/readyz").await.status != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

/// Two shards that know each other, each with 100 in `alice`, and a node that both know.
struct Pair {
    world: World,
    left: Bank,
    right: Bank,
}

impl Pair {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(flags: &[(&str, &str)]) -> Self {
        let node = TcpListener::bind("127.0.0.1:0").unwrap();
        let at_node = node.local_addr().unwrap().to_string();
        let (at_left, at_right) = (nowhere(), nowhere());
        let left = Bank::start_at(&at_left, "left", &[("right", &at_right)], Some(&at_node)).await;
        let right = Bank::start_at(&at_right, "right", &[("left", &at_left)], Some(&at_node)).await;
        let mut all =
            vec![("resources.left.url", &*left.url), ("resources.right.url", &*right.url)];
        all.extend(flags);
        let world = World::new(&all);
        node.set_nonblocking(true).unwrap();
        let socket = tokio::net::TcpListener::from_std(node).unwrap();
        tokio::spawn(axum::serve(socket, world.router.clone()).into_future());
        for bank in [&left, &right] {
            let body = json!({ "keys": { "alice": { "int": 100 } } }).to_string();
            assert_eq!(bank.call(Method::PUT, "/v1/keys", &body).await.0, StatusCode::OK);
        }
        ready(&world).await;
        Self { world, left, right }
    }
}

/// A shard in this process, which ends with the test.
pub struct Bank {
    pub url: String,
    caller: Caller,
    _dir: TempDir,
}

impl Bank {
    /// With no peers it has no name.
    pub async fn start(name: &str, peers: &[(&str, &str)], node: Option<&str>) -> Self {
        Self::start_at("127.0.0.1:0", name, peers, node).await
    }

    async fn start_at(at: &str, name: &str, peers: &[(&str, &str)], node: Option<&str>) -> Self {
        let dir = TempDir::new().unwrap();
        let mut config = ShardConfig::new(dir.path().join("data"), at.parse().unwrap());
        let remote = |at: &str| Remote { url: format!("http://{at}"), token: None };
        config.name = (!peers.is_empty()).then(|| name.into());
        config.peers = peers.iter().map(|(name, at)| ((*name).into(), remote(at))).collect();
        // One cluster: `them` is of another.
        let cluster = || node.filter(|_| at.ends_with(":0")).map(|_| "us".to_owned());
        config.coordinators = node.map(|at| (cluster(), remote(at))).into_iter().collect();
        let server = ShardServer::open(config).await.unwrap();
        let url = format!("http://{}", server.address());
        tokio::spawn(server.serve(std::future::pending()));
        let caller = Caller::new(CallSettings {
            url: &url,
            token: None,
            tls: tls::trusting(None).unwrap(),
            connections_max: 4,
            connect_timeout: AMPLE,
        });
        Self { url, caller: caller.unwrap(), _dir: dir }
    }

    pub async fn call(&self, method: Method, path: &str, body: &str) -> (StatusCode, String) {
        let answer = self.caller.call(method, path, body.into(), AMPLE).await;
        let (status, body) = answer.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The status of messages that our own callers would not send.
    async fn send(&self, body: &str) -> u16 {
        let at = self.url.strip_prefix("http://").unwrap();
        let mut socket = tokio::net::TcpStream::connect(at).await.unwrap();
        let head = "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json";
        let length = body.len();
        let request = format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}");
        // It may have heard enough before the end.
        let _ = socket.write_all(request.as_bytes()).await;
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        std::str::from_utf8(&status[9..]).unwrap().parse().unwrap()
    }

    pub async fn get(&self, path: &str) -> Json {
        let (status, body) = self.call(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}
