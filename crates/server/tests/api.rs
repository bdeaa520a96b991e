//! What the API answers, status by status and code by code.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Request, StatusCode},
    response::Response,
};
use futures_util::{FutureExt, stream};
use handfast_client::wire;
use handfast_core::{id::Cluster, machine::Summary};
use handfast_log::{Batch, Change, Log, Sqlite, SqliteOptions};
use handfast_server::api::{checks::Rules, transactions::outcome};
use serde_json::{Value as Json, json};

use crate::requests::{Lines, World};

fn one(branch: Json) -> Json {
    json!({ "gid": "g1", "branches": [branch] })
}

fn sql(statement: Json) -> Json {
    one(json!({ "name": "a", "resource": "bank", "sql": [statement] }))
}

fn keys(op: Json) -> Json {
    one(json!({ "name": "a", "resource": "shard", "keys": [op] }))
}

fn wrong_keys() -> [(Json, &'static str); 6] {
    [
        (keys(json!({ "op": "get", "key": "" })), "bad_key"),
        (keys(json!({ "op": "get", "key": "k".repeat(257) })), "bad_key"),
        (keys(json!({ "op": "put", "key": "k", "value": null })), "bad_key"),
        (keys(json!({ "op": "put", "key": "k", "value": 1.5 })), "bad_key"),
        (keys(json!({ "op": "put", "key": "k", "value": "v".repeat(65_537) })), "bad_key"),
        (keys(json!({ "op": "add", "key": "k", "by": u64::MAX })), "wrong_shape"),
    ]
}

#[tokio::test]
async fn a_wrong_request_is_refused_before_anything_runs() {
    let world = World::new(&[
        ("limits.branches_max", "2"),
        ("limits.statements_max", "2"),
        ("limits.params_max", "2"),
        ("limits.text_bytes_max", "20"),
    ]);
    let a = json!({ "name": "a", "resource": "bank", "sql": [["SELECT 1"]] });
    let get = json!({ "op": "get", "key": "k" });
    let with = |field: &str, value: Json| {
        let mut branch = a.clone();
        branch[field] = value;
        one(branch)
    };
    let cases = [
        (json!({ "branches": [] }), "no_branches"),
        (json!({ "branches": [a, a, a] }), "too_many_branches"),
        (json!({ "branches": [a, a] }), "duplicate_branch"),
        (json!({ "gid": "", "branches": [a] }), "bad_name"),
        (json!({ "gid": "with space", "branches": [a] }), "bad_name"),
        (json!({ "gid": "x".repeat(65), "branches": [a] }), "bad_name"),
        (with("name", json!("ä")), "bad_name"),
        (with("resource", json!("bonk")), "unknown_resource"),
        (with("sql", Json::Null), "wrong_work"),
        (with("keys", json!([get])), "wrong_work"),
        (with("resource", json!("shard")), "wrong_work"),
        (one(json!({ "name": "a", "resource": "bank", "keys": [get] })), "wrong_work"),
        (with("sql", json!([])), "no_statements"),
        (with("sql", json!([["SELECT 1"], ["SELECT 2"], ["SELECT 3"]])), "too_many_statements"),
        (with("lock_timeout_ms", json!(0)), "timeout_out_of_range"),
        (with("kind", json!("step")), "wrong_work"),
        (with("isolated", json!(true)), "wrong_shape"),
        (json!({ "timeout_ms": 300_001, "branches": [a] }), "timeout_out_of_range"),
        (json!({ "timeout_ms": 0, "branches": [a] }), "timeout_out_of_range"),
        (json!({ "timeout_ms": -1, "branches": [a] }), "wrong_shape"),
        (json!([]), "wrong_shape"),
        (sql(json!(["  "])), "bad_text"),
        (sql(json!(["SELECT\u{0}1"])), "bad_text"),
        (sql(json!(["SELECT 1 -- and so on, too long"])), "bad_text"),
        (sql(json!(["SELECT 1", [1, 2, 3]])), "too_many_params"),
        (sql(json!(["SELECT 1", [u64::MAX]])), "bad_parameter"),
        (sql(json!(["SELECT 1", [[1]]])), "bad_parameter"),
        (sql(json!(["SELECT 1", [{ "bytes": "not base64!" }]])), "bad_parameter"),
        (sql(json!(["SELECT 1", [{ "bytes": "AA==", "more": 1 }]])), "bad_parameter"),
        (sql(json!(["SELECT 1", [], { "row": 1 }])), "wrong_shape"),
    ];
    for (body, code) in cases.into_iter().chain(wrong_keys()) {
        let answer = world.post("/v1/transactions", &body).await;
        assert_eq!(answer.code(), code, "{body} got {}", answer.body);
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        for field in ["detail", "cure", "title", "type"] {
            assert!(answer.body[field].as_str().is_some_and(|s| !s.is_empty()), "{field}: {body}");
        }
    }
    // Nothing of all this has begun.
    assert_eq!(world.get("/v1/transactions/g1").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_refusal_names_the_branch_the_place_and_the_nearest_resource() {
    let world = World::new(&[]);
    let body = sql(json!(["SELECT 1", [1, { "bytes": 7 }]]));
    let answer = world.post("/v1/transactions", body).await;
    assert_eq!(answer.body["branch"], "a");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.starts_with("parameter 2 of statement 1"), "{detail}");
    let body = one(json!({ "name": "a", "resource": "banc", "sql": [["SELECT 1"]] }));
    let answer = world.post("/v1/transactions", body).await;
    assert_eq!(answer.body["cure"], "Did you mean `bank`?");
}

#[tokio::test]
async fn malformed_json_is_told_where() {
    let world = World::new(&[]);
    let answer = world.post("/v1/transactions", "{\n  \"gid\": oops\n}").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "malformed_json"));
    assert!(answer.body["detail"].as_str().unwrap().contains("line 2 column"));
    let long = json!({ "x".repeat(100_000): 1 });
    let answer = world.post("/v1/transactions", long).await;
    assert!(answer.body["detail"].as_str().unwrap().len() <= 1024);
}

#[tokio::test]
async fn bodies_are_bounded_and_declared() {
    let world = World::new(&[("limits.body_bytes_max", "1024")]);
    let answer = world.post("/v1/transactions", " ".repeat(1025)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "body_too_large"));
    assert_eq!(answer.body["detail"], "the body is longer than 1024 bytes");
    assert_eq!(answer.body["cure"], "Send less, or raise the setting.");
    let form = Request::post("/v1/transactions")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = world.send(form.body(Body::from("{}")).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (415, "wrong_content_type"));
}

/// Nobody is told to raise what cannot be raised.
#[tokio::test]
async fn a_cure_does_not_name_a_setting_that_is_at_its_end() {
    let branch =
        |at: u32| json!({ "name": format!("b{at}"), "resource": "bank", "sql": [["SELECT 1"]] });
    let body = |count: u32| json!({ "branches": (0..count).map(branch).collect::<Vec<_>>() });
    for (max, cure) in
        [("63", "Split the transaction, or raise the setting."), ("64", "Split the transaction.")]
    {
        let world = World::new(&[("limits.branches_max", max)]);
        let answer = world.post("/v1/transactions", body(65)).await;
        assert_eq!((answer.code(), &answer.body["cure"]), ("too_many_branches", &json!(cure)));
    }
    let world = World::new(&[("transaction.timeout_ms_max", "86400000")]);
    let mut wanted = body(1);
    wanted["timeout_ms"] = json!(86_400_001_u64);
    let answer = world.post("/v1/transactions", wanted).await;
    assert_eq!(answer.body["cure"], "Use one within the range.", "{}", answer.body);
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_not_done_405() {
    let world = World::new(&[]);
    for path in ["/", "/v1", "/v1/transactions/", "/v1/transactions/a/b"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_such_route"), "{path}");
    }
    let answer = world.post("/v1/transactions/g:explode", "{}").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_such_route"));
    for path in ["/v1/transactions/nobody", "/v1/transactions/not%20a%20gid"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_such_transaction"));
    }
    let answer = world.post("/v1/transactions/with:colons:abort", "").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_such_transaction"));
    let answer = world.post("/v1/resources/nobody:check", "").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_such_resource"));
    let answer = world.get("/v1/inquiries/hf1_x").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "bad_branch_id"));
    let request = Request::delete("/v1/transactions").body(Body::empty()).unwrap();
    let answer = world.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (405, "wrong_method"));
    assert!(answer.headers.contains_key("allow"));
}

#[tokio::test]
async fn lists_refuse_filters_that_make_no_sense() {
    let world = World::new(&[]);
    for query in ["limit=0", "limit=501", "limit=many", "state=confused", "colour=red"] {
        let answer = world.get(&format!("/v1/transactions?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "bad_query"), "{query}");
    }
    let answer = world.get("/v1/transactions?state=in-doubt&limit=500").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.body["transactions"], json!([]));
}

#[tokio::test]
async fn resolve_needs_a_reason_and_an_outcome() {
    let world = World::new(&[]);
    let path = "/v1/transactions/g1:resolve";
    let cases = [
        (json!({ "branch": "a", "outcome": "committed", "reason": " " }), "bad_reason"),
        (json!({ "branch": "a", "outcome": "aborted", "reason": "x".repeat(1025) }), "bad_reason"),
        (json!({ "branch": "a", "outcome": "unknown", "reason": "saw it" }), "bad_outcome"),
        (json!({ "branch": "a", "outcome": "committed" }), "wrong_shape"),
    ];
    for (body, code) in cases {
        let answer = world.post(path, &body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, code), "{body}");
    }
    let seen = json!({ "branch": "a", "outcome": "committed", "reason": "saw it" });
    assert_eq!(world.post(path, seen).await.code(), "no_such_transaction");
}

#[tokio::test]
async fn with_tokens_every_request_needs_one_of_the_right_role() {
    let digest = |token: &str| -> String {
        use sha2::Digest;
        sha2::Sha256::digest(token).iter().map(|b| format!("{b:02x}")).collect()
    };
    let (r, w, o) = (digest("reader"), digest("writer"), digest("operator"));
    let world = World::new(&[
        ("auth.tokens.r.role", "read"),
        ("auth.tokens.r.sha256", &r),
        ("auth.tokens.w.role", "write"),
        ("auth.tokens.w.sha256", &w),
        ("auth.tokens.o.role", "operate"),
        ("auth.tokens.o.sha256", &o),
    ]);
    let cases = [
        ("GET", "/v1/transactions", [200, 200, 200]),
        ("GET", "/v1/resources", [200, 200, 200]),
        ("GET", "/metrics", [200, 200, 200]),
        ("GET", "/openapi.json", [200, 200, 200]),
        ("GET", "/v1/inquiries/x", [400, 400, 400]),
        ("POST", "/v1/transactions", [403, 415, 415]),
        ("POST", "/v1/transactions/g:commit", [403, 404, 404]),
        ("POST", "/v1/transactions/g:abort", [403, 404, 404]),
        ("POST", "/v1/transactions/g/branches", [403, 415, 415]),
        ("POST", "/v1/transactions/g:retry", [403, 403, 404]),
        ("POST", "/v1/transactions/g:edit", [403, 403, 415]),
        ("POST", "/v1/transactions:commit", [403, 403, 415]),
        ("POST", "/v1/transactions:abort", [403, 403, 415]),
        ("POST", "/v1/transactions:retry", [403, 403, 415]),
        ("POST", "/v1/transactions:edit", [403, 403, 415]),
        ("POST", "/v1/transactions:resolve", [403, 403, 415]),
        ("GET", "/v1/sagas", [200, 200, 200]),
        ("PUT", "/v1/sagas/none", [403, 403, 415]),
        ("POST", "/v1/sagas/none:run", [403, 404, 404]),
        ("POST", "/v1/transactions/g:resolve", [403, 403, 415]),
        ("POST", "/v1/transactions/g%3Aresolve", [403, 403, 415]),
        ("POST", "/v1/resources/nobody:check", [403, 403, 404]),
    ];
    let ask = async |method: &str, path: &str, authorization: Option<&str>| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        world.send(request.body(Body::empty()).unwrap()).await
    };
    for (method, path, statuses) in cases {
        for (token, status) in ["reader", "writer", "operator"].iter().zip(statuses) {
            let answer = ask(method, path, Some(&format!("Bearer {token}"))).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path} as {token}");
        }
        let wrong = ["Bearer nobody", "Bearer ", "Basic reader", "reader", ""];
        for authorization in wrong.map(Some).into_iter().chain([None]) {
            let answer = ask(method, path, authorization).await;
            assert_eq!(answer.status.as_u16(), 401, "{method} {path} with {authorization:?}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(ask("GET", "/healthz", None).await.status.as_u16(), 200);
    assert_ne!(ask("GET", "/readyz", None).await.status.as_u16(), 401);
}

#[tokio::test]
async fn pages_of_others_in_a_browser_are_kept_out() {
    let world = World::new(&[]);
    let ask = async |host: &str, origin: Option<&str>| {
        let mut request = Request::get("/v1/resources").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        world.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    assert_eq!(ask("127.0.0.1:7400", None).await, 200);
    assert_eq!(ask("[::1]:7400", None).await, 200);
    assert_eq!(ask("localhost:7400", Some("http://localhost:7400")).await, 200);
    assert_eq!(ask("localhost:7400", Some("http://evil.example")).await, 403);
    assert_eq!(ask("localhost:7400", Some("null")).await, 403);
    // A name of the attacker's that leads to this machine.
    assert_eq!(ask("evil.example:7400", Some("http://evil.example:7400")).await, 403);
}

#[tokio::test]
async fn above_the_limit_requests_are_refused_at_once() {
    let world = World::new(&[("limits.requests_max", "1")]);
    let never = stream::pending::<Result<Bytes, std::io::Error>>();
    let slow = Request::post("/v1/transactions").header("content-type", "application/json");
    let mut slow = Box::pin(world.send(slow.body(Body::from_stream(never)).unwrap()));
    // It takes the only place and waits for its body.
    assert!((&mut slow).now_or_never().is_none());
    let answer = world.get("/v1/resources").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "busy"));
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.body["retryable"], true);
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
    // What ends transactions is not kept out by those who wait for their end.
    let messages = world.post("/v1/messages", r#"{"messages":[]}"#).await;
    assert_eq!(messages.status, StatusCode::OK, "{:?}", messages.body);
    let inquiry = world.get("/v1/inquiries/hf1_other_1_1_0").await;
    assert_ne!(inquiry.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(slow);
    assert_eq!(world.get("/v1/resources").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_panic_is_answered_as_unknown() {
    let world = World::new(&[]);
    let broken = stream::once(async { panic!("a bug, made for this test") });
    let broken = Body::from_stream::<_>(broken.map_type());
    let request = Request::post("/v1/transactions").header("content-type", "application/json");
    let answer = world.send(request.body(broken).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (500, "bug_here"));
    assert!(answer.body["detail"].as_str().unwrap().contains("unknown"));
}

/// Gives a stream that never yields the item type of a body.
trait MapType: Sized {
    fn map_type(self) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> + Send;
}

impl<S: futures_util::Stream<Item = std::convert::Infallible> + Send> MapType for S {
    fn map_type(self) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> + Send {
        futures_util::StreamExt::map(self, |never| match never {})
    }
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let world = World::new(&[]);
    let ask = async |id: &str| {
        let request = Request::get("/nowhere").header("x-request-id", id);
        world.send(request.body(Body::empty()).unwrap()).await.headers["x-request-id"].clone()
    };
    assert_eq!(ask("mine-42").await, "mine-42");
    assert_ne!(ask("no good\tfor a log").await, "no good\tfor a log");
    assert_eq!(world.get("/healthz").await.headers["x-request-id"].len(), 36);
}

fn transaction(outcome: wire::Outcome, code: Option<&str>) -> wire::Transaction {
    wire::Transaction {
        gid: "order-42".into(),
        outcome,
        state: wire::State::Aborting,
        saga: None,
        decide: wire::Decide::Log,
        stuck: false,
        reason: code.map(|code| wire::AbortReason {
            branch: Some("debit".into()),
            code: code.into(),
            message: "what happened".into(),
            cure: None,
            retryable: code == "deadlock",
            body: None,
        }),
        decided_at_ms: None,
        deadline_at_ms: None,
        asking: None,
        branches: Vec::new(),
        results: Default::default(),
        timeline: Vec::new(),
    }
}

async fn read(response: Response) -> (u16, Json) {
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn the_status_says_what_is_known() {
    let (status, body) = read(outcome(transaction(wire::Outcome::Committed, None))).await;
    assert_eq!((status, &body["outcome"]), (200, &json!("committed")));
    let unknown = outcome(transaction(wire::Outcome::Unknown, None));
    assert_eq!(unknown.headers()["location"], "/v1/transactions/order-42");
    assert_eq!(read(unknown).await.0, 202);
    let cases = [
        ("rows_mismatch", 409, false),
        ("deadlock", 409, true),
        ("caller_abort", 409, false),
        ("sql_syntax", 422, false),
        ("sql_not_allowed", 422, false),
        ("permission", 422, false),
        ("of_a_later_version", 409, false),
    ];
    // A code of the request's own fault, but from a participant that says it will pass.
    let mut passing = transaction(wire::Outcome::Aborted, Some("permission"));
    passing.reason.as_mut().unwrap().retryable = true;
    assert_eq!(read(outcome(passing)).await.0, 409);
    for (code, expected, retryable) in cases {
        let (status, body) = read(outcome(transaction(wire::Outcome::Aborted, Some(code)))).await;
        assert_eq!((status, &body["code"]), (expected, &json!(code)));
        assert_eq!(body["retryable"], retryable, "{code}");
        assert_eq!(body["branch"], "debit");
        assert_eq!(body["transaction"]["outcome"], "aborted");
    }
}

#[tokio::test]
async fn a_resource_that_is_away_aborts_and_the_answer_never_changes() {
    let world = World::new(&[]);
    let body = keys(json!({ "op": "get", "key": "k" }));
    let first = world.post("/v1/transactions", &body).await;
    assert_eq!(first.status.as_u16(), 409, "{}", first.body);
    assert_eq!(first.body["transaction"]["outcome"], "aborted");
    assert_eq!(first.body["branch"], "a");
    assert_eq!(first.body["retryable"], true);
    let again = world.post("/v1/transactions", &body).await;
    assert_eq!((again.status, again.code()), (first.status, first.code()));
    let shown = world.get("/v1/transactions/g1").await;
    assert_eq!((shown.status.as_u16(), &shown.body["outcome"]), (200, &json!("aborted")));
    assert_eq!(shown.headers["content-type"], "application/json");
    // Only now somebody listens: the line's place in the code must be known before.
    let lines = Lines::begin();
    let other = world.post("/v1/transactions", keys(json!({ "op": "get", "key": "l" }))).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "other_content"));
    let lines = lines.end();
    assert!(lines.contains("answered") && lines.contains("gid=\"g1\""), "{lines}");
}

#[tokio::test]
async fn not_waiting_is_202_with_the_place_to_ask() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let world = World::new(&[("resources.shard.url", &url)]);
    let mut body = keys(json!({ "op": "get", "key": "k" }));
    body["wait"] = json!("none");
    let answer = world.post("/v1/transactions", body).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
    assert_eq!(answer.headers["location"], "/v1/transactions/g1");
}

#[tokio::test]
async fn the_fingerprint_is_of_what_is_done_not_of_how_it_is_asked_for() {
    let rules = Rules::new(&World::new(&[]).config, &Cluster::new("bank").unwrap());
    let print = |body: Json| {
        let request: wire::BeginTransaction = serde_json::from_value(body).unwrap();
        rules.begin(request, "", 0).unwrap().fingerprint
    };
    let branch = |n: i64| json!({ "name": "a", "resource": "bank", "sql": [["SELECT $1", [n]]] });
    let plain = print(json!({ "branches": [branch(1)] }));
    assert_eq!(plain.len(), 64);
    let asked_otherwise = json!({
        "gid": "g", "timeout_ms": 7, "ack": "applied", "wait": "none", "branches": [branch(1)]
    });
    assert_eq!(plain, print(asked_otherwise));
    let mut said = branch(1);
    said["kind"] = json!("prepare");
    assert_eq!(plain, print(json!({ "branches": [said] })));
    assert_ne!(plain, print(json!({ "branches": [branch(2)] })));
    assert_ne!(plain, print(json!({ "hold": true, "branches": [branch(1)] })));
}

/// What became of a finished transaction cannot be read any more. That is its own misfortune.
#[tokio::test]
async fn a_damaged_transaction_does_not_stop_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(&dir.path().join("data"), SqliteOptions::default()).unwrap();
    let mut batch = Batch::default();
    batch.push(Change {
        stream: "bad".into(),
        records: vec!["nonsense".into()],
        snapshot: false,
        open: false,
        summary: Summary { state: "committed", label: "!1-1 bank".into() },
    });
    log.append(&batch, 1).unwrap();
    log.close().unwrap();
    let world = World::over(dir, &[]);
    let begin = |gid: &str| {
        let branch = json!({ "name": "a", "resource": "bank", "sql": [["SELECT 1"]] });
        json!({ "gid": gid, "branches": [branch] })
    };
    for _ in 0..2 {
        for answer in [
            world.post("/v1/transactions", begin("bad")).await,
            world.get("/v1/transactions/bad").await,
            world.post("/v1/transactions/bad:commit", "").await,
            world.post("/v1/transactions/bad:abort", "").await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.code()), (500, "damaged"));
        }
        assert_eq!(world.get("/v1/transactions?limit=5").await.status, StatusCode::OK);
    }
    // Its resource is away, so it is aborted; but it is run.
    let good = world.post("/v1/transactions", begin("good")).await;
    assert_eq!(good.body["transaction"]["outcome"], "aborted", "{}", good.body);
}
