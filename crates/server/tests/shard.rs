//! The shard server, over real sockets and a real log, through the adapter that nodes use.

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Json, Router, routing::get};
use handfast_core::{
    id::{BranchId, Cluster},
    vote::{Ack, Cause, Proof, Vote},
    work::{KeyOp, Param, Work},
};
use handfast_participants::{
    Level, Participant, Settings, TlsMode,
    http::{CallSettings, Caller},
    tls,
};
use handfast_server::{
    config::TlsFiles,
    shard::{Remote, ShardConfig, ShardError, ShardServer},
};
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle};

const AMPLE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_branch_is_prepared_and_committed() {
    let bank = Bank::start().await;
    bank.load(json!({"alice": {"int": 100}, "bob": {"int": 0}})).await;
    let shard = bank.adapter();
    let work = vec![get_key("alice"), add("alice", -30), get_key("alice"), get_key("nobody")];
    let prepared = shard.prepare(branch(1), Work::Keys(work), AMPLE).await;
    assert_eq!(prepared.vote, Vote::Yes(Proof::default()));
    let row = |key: &str, value| vec![Param::Text(key.into()), value];
    let read = [("alice", Param::Int(100)), ("alice", Param::Int(70)), ("nobody", Param::Null)];
    assert_eq!(prepared.rows[0].rows, read.map(|(key, value)| row(key, value)));
    assert_eq!(bank.int("alice").await, 100, "written before the decision");
    let own = shard.in_doubt().await.unwrap().own;
    assert!(matches!(&own[..], [(id, Some(_))] if *id == branch(1)), "{own:?}");
    assert_eq!(shard.commit(branch(1), Proof::default()).await, Ack::Finished);
    assert_eq!(shard.commit(branch(1), Proof::default()).await, Ack::Finished);
    assert_eq!(bank.int("alice").await, 70);
    assert_eq!(shard.in_doubt().await.unwrap().own, []);
    let against = shard.abort(branch(1), Proof::default()).await;
    assert!(matches!(against, Ack::Heuristic(_)), "{against:?}");
    bank.stop().await;
}

#[tokio::test]
async fn a_refusal_says_whose_doing_it_is() {
    let bank = Bank::start().await;
    bank.load(json!({"alice": {"int": 10}, "text": {"bytes": [120]}})).await;
    let shard = bank.adapter();
    let cases = [
        (add("alice", -30), "condition_failed", Cause::Business),
        (add("text", 1), "not_an_integer", Cause::Request),
        (add("", 1), "bad_key", Cause::Request),
    ];
    for (number, (op, code, cause)) in cases.into_iter().enumerate() {
        let prepared = shard.prepare(branch(number as u64), Work::Keys(vec![op]), AMPLE).await;
        let Vote::No(refusal) = prepared.vote else { panic!("{prepared:?}") };
        assert_eq!((refusal.code.as_str(), refusal.cause), (code, cause), "{refusal:?}");
    }
    assert_eq!(shard.in_doubt().await.unwrap().own, []);
    bank.stop().await;
}

#[tokio::test]
async fn a_writer_waits_for_the_one_before_it_but_not_for_ever() {
    let bank = Bank::start().await;
    bank.load(json!({"alice": {"int": 100}})).await;
    let shard = bank.adapter();
    assert_eq!(prepare(&shard, 1, add("alice", -30)).await, Vote::Yes(Proof::default()));
    // It gets the lock when the first commits, and sees what that wrote: 70 - 80 is too little.
    let (vote, ack) = tokio::join!(prepare(&shard, 2, add("alice", -80)), async {
        while bank.get("/v1/branches").await["waiting"] == 0 {
            tokio::task::yield_now().await;
        }
        shard.commit(branch(1), Proof::default()).await
    });
    assert_eq!(ack, Ack::Finished);
    assert!(matches!(vote, Vote::No(ref why) if why.code == "condition_failed"), "{vote:?}");
    assert_eq!(prepare(&shard, 3, add("alice", 1)).await, Vote::Yes(Proof::default()));
    let vote = prepare(&shard, 4, add("alice", 1)).await;
    assert!(matches!(vote, Vote::No(ref why) if why.code == "lock_timeout"), "{vote:?}");
    bank.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_what_is_in_doubt_and_asks() {
    let bank = Bank::start().await;
    bank.load(json!({"alice": {"int": 100}})).await;
    let shard = bank.adapter();
    assert_eq!(prepare(&shard, 1, add("alice", -30)).await, Vote::Yes(Proof::default()));
    assert_eq!(prepare(&shard, 2, add("bob", 30)).await, Vote::Yes(Proof::default()));
    let dir = bank.stop().await;
    let node = Router::new()
        .route(&format!("/v1/inquiries/{}", branch(1)), decision("commit"))
        .route(&format!("/v1/inquiries/{}", branch(2)), decision("abort"));
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let node = tokio::spawn(async { axum::serve(socket, node).await });
    let coordinator = Remote { url, token: None };
    let ask = |config: &mut ShardConfig| drop(config.coordinators.insert(None, coordinator));
    let bank = Bank::start_with(dir, ask).await;
    let shard = bank.adapter();
    tokio::time::timeout(AMPLE, async {
        while !shard.in_doubt().await.unwrap().own.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the coordinator was not asked");
    assert_eq!(bank.int("alice").await, 70);
    assert_eq!(bank.get("/v1/keys").await["total"], 1, "what was aborted is there");
    bank.stop().await;
    node.abort();
}

/// Who asks how long a branch has been in doubt is told also by a shard that was dead meanwhile.
#[tokio::test]
async fn branches_have_an_age_that_outlives_a_restart() {
    let bank = Bank::start().await;
    let shard = bank.adapter();
    assert_eq!(prepare(&shard, 1, add("alice", 30)).await, Vote::Yes(Proof::default()));
    let since = Instant::now();
    let age = async |bank: &Bank| match &bank.adapter().in_doubt().await.unwrap().own[..] {
        [(_, Some(age_ms))] => Duration::from_millis(*age_ms),
        other => panic!("{other:?}"),
    };
    tokio::time::timeout(AMPLE, async {
        while age(&bank).await < Duration::from_millis(50) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it grows older");
    let bank = Bank::start_with(bank.stop().await, |_| {}).await;
    let (at_least, age) = (since.elapsed(), age(&bank).await);
    assert!(age + Duration::from_millis(2) >= at_least, "{age:?} of {at_least:?}");
    bank.stop().await;
}

#[tokio::test]
async fn without_the_token_nothing_is_done() {
    let bank = Bank::start_with(tempfile::tempdir().unwrap(), |config| {
        config.token = Some("sesame".into());
    })
    .await;
    let stranger = bank.adapter();
    let vote = prepare(&stranger, 1, add("alice", 1)).await;
    assert!(matches!(vote, Vote::No(ref why) if why.code == "login_refused"), "{vote:?}");
    assert!(stranger.in_doubt().await.is_err());
    assert_eq!(stranger.check().await[0].level, Level::Error);
    let friend = bank.adapter_with(Some("sesame"));
    assert_eq!(friend.check().await[0].level, Level::Ok);
    assert_eq!(friend.in_doubt().await.unwrap().own, []);
    bank.stop().await;
}

#[tokio::test]
async fn a_shard_is_not_open_to_the_network_by_accident() {
    let dir = tempfile::tempdir().unwrap();
    let config = ShardConfig { listen: "0.0.0.0:0".parse().unwrap(), ..config(&dir) };
    let refused = ShardServer::open(config).await;
    assert!(matches!(refused, Err(ShardError::Open(_))));
}

#[tokio::test]
async fn a_bad_request_is_refused_and_changes_nothing() {
    let bank = Bank::start().await;
    let path = format!("/v1/branches/{}/prepare", branch(1));
    let sql = json!({"work": {"sql": {"statements": []}}, "within_ms": 9});
    let op = json!({"op": "add", "key": "alice", "by": 9_223_372_036_854_775_808_u64});
    let big = json!({"work": {"keys": [op]}, "within_ms": 9});
    let keys = json!({"work": {"keys": []}, "within_ms": 9});
    let long = json!({"keys": {"k".repeat(257): {"int": 1}}});
    let cases = [
        (Method::POST, path.as_str(), "{".into(), 400),
        (Method::POST, path.as_str(), "{}".into(), 422),
        (Method::POST, path.as_str(), sql.to_string(), 422),
        (Method::POST, path.as_str(), big.to_string(), 422),
        (Method::POST, "/v1/branches/1/prepare", keys.to_string(), 400),
        (Method::POST, "/v1/branches/hf1_x_1_01_0/commit", String::new(), 400),
        (Method::PUT, "/v1/keys", long.to_string(), 422),
        (Method::GET, "/v1/keys?limit=x", String::new(), 400),
        (Method::GET, "/v1/other", String::new(), 404),
    ];
    for (method, path, body, status) in cases {
        let (found, answer) = bank.call(method.clone(), path, &body).await;
        assert_eq!(found, status, "{method} {path} {body}: {answer}");
    }
    assert_eq!(bank.adapter().in_doubt().await.unwrap().own, []);
    bank.stop().await;
}

#[tokio::test]
async fn keys_come_in_pages_and_are_not_loaded_over_a_branch() {
    let bank = Bank::start().await;
    let ints = |range: std::ops::Range<i64>| -> serde_json::Value {
        range
            .map(|n| (format!("a/{n:04}"), json!({"int": n})))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    bank.load(ints(0..1500)).await;
    bank.load(json!({"b": {"int": 1}})).await;
    let first = bank.get("/v1/keys?prefix=a/").await;
    assert_eq!((first["keys"].as_array().unwrap().len(), &first["total"]), (1000, &json!(1501)));
    let next = first["next"].as_str().unwrap();
    let second = bank.get(&format!("/v1/keys?prefix=a/&after={next}")).await;
    assert_eq!(
        second["keys"].as_array().unwrap().len(),
        500,
        "a key is missing or of another prefix"
    );
    assert_eq!(second["next"], json!(null));
    let shard = bank.adapter();
    assert_eq!(prepare(&shard, 1, add("b", 1)).await, Vote::Yes(Proof::default()));
    let (status, _) = bank.call(Method::PUT, "/v1/keys", r#"{"keys":{"b":{"int":7}}}"#).await;
    assert_eq!(status, StatusCode::CONFLICT);
    bank.stop().await;
}

#[tokio::test]
async fn with_a_certificate_a_shard_speaks_tls_only() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = TlsFiles { cert: cert.clone(), key };
    let mut bank = Bank::start_with(dir, |config| config.tls = Some(files)).await;
    assert!(bank.caller.call(Method::GET, "/readyz", Vec::new(), AMPLE).await.is_err());
    bank.url = bank.url.replace("http://127.0.0.1", "https://localhost");
    let work = || Work::Keys(vec![add("alice", 1)]);
    let stranger = bank.adapter().prepare(branch(1), work(), AMPLE).await;
    assert!(matches!(stranger.vote, Vote::No(_) | Vote::Lost(_)), "{stranger:?}");
    let adapter = bank.adapter_trusting(Some(cert), None);
    let Vote::Yes(proof) = adapter.prepare(branch(2), work(), AMPLE).await.vote else {
        panic!("it must prepare");
    };
    assert_eq!(adapter.commit(branch(2), proof).await, Ack::Finished);
}

/// A shard server in this process.
struct Bank {
    dir: tempfile::TempDir,
    url: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), ShardError>>,
    caller: Caller,
}

impl Bank {
    async fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), |_| ()).await
    }

    async fn start_with(dir: tempfile::TempDir, change: impl FnOnce(&mut ShardConfig)) -> Self {
        let mut config = config(&dir);
        change(&mut config);
        let server = ShardServer::open(config).await.unwrap();
        let url = format!("http://{}", server.address());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.serve(async { drop(stopped.await) }));
        let caller = Caller::new(CallSettings {
            url: &url,
            token: None,
            tls: tls::trusting(None).unwrap(),
            connections_max: 4,
            connect_timeout: AMPLE,
        });
        Self { dir, url, stop, running, caller: caller.unwrap() }
    }

    async fn stop(self) -> tempfile::TempDir {
        drop(self.caller);
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
        self.dir
    }

    fn adapter(&self) -> Arc<dyn Participant> {
        self.adapter_with(None)
    }

    fn adapter_with(&self, secret: Option<&str>) -> Arc<dyn Participant> {
        self.adapter_trusting(None, secret)
    }

    fn adapter_trusting(
        &self,
        ca_file: Option<PathBuf>,
        secret: Option<&str>,
    ) -> Arc<dyn Participant> {
        let settings = Settings {
            name: "bank".into(),
            url: self.url.clone(),
            secret: secret.map(Into::into),
            ca_file,
            tls: TlsMode::Off,
            connections_max: 4,
            connect_timeout: AMPLE,
            statement_timeout: AMPLE,
            lock_timeout: AMPLE,
            marker_table: String::new(),
            service: Default::default(),
            cluster: Cluster::new("t").unwrap(),
        };
        handfast_participants::open(settings).unwrap()
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> (StatusCode, String) {
        let answer = self.caller.call(method, path, body.into(), AMPLE).await;
        let (status, body) = answer.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.call(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn load(&self, keys: serde_json::Value) {
        let body = json!({ "keys": keys }).to_string();
        let (status, answer) = self.call(Method::PUT, "/v1/keys", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    async fn int(&self, key: &str) -> i64 {
        self.get(&format!("/v1/keys?prefix={key}")).await["keys"][0]["value"]["int"]
            .as_i64()
            .unwrap()
    }
}

fn config(dir: &tempfile::TempDir) -> ShardConfig {
    ShardConfig::new(dir.path().into(), "127.0.0.1:0".parse().unwrap())
}

fn prepare(
    shard: &Arc<dyn Participant>,
    number: u64,
    op: KeyOp,
) -> impl Future<Output = Vote> + use<> {
    let shard = Arc::clone(shard);
    async move { shard.prepare(branch(number), Work::Keys(vec![op]), AMPLE).await.vote }
}

fn decision(word: &'static str) -> axum::routing::MethodRouter {
    get(async move || Json(json!({ "decision": word })))
}

fn branch(number: u64) -> BranchId {
    BranchId::parse(&format!("hf1_t_1_{number}_0")).unwrap()
}

fn get_key(key: &str) -> KeyOp {
    KeyOp::Get { key: key.into() }
}

fn add(key: &str, by: i64) -> KeyOp {
    KeyOp::Add { key: key.into(), by, min: Some(0), max: None }
}
