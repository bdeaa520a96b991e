//! Plans that make no sense are refused before anything of them runs, and others are what they say.

use axum::http::StatusCode;
use handfast_client::wire;
use handfast_core::{
    id::Cluster,
    plan::{Kind, Patience},
    work::Work,
};
use handfast_server::{api::checks::Rules, node::Begin};
use serde_json::{Value as Json, json};

use crate::requests::{World, nowhere};

fn world() -> World {
    let url = format!("service+http://{}", nowhere());
    World::new(&[("resources.courier.url", &url), ("limits.text_bytes_max", "400")])
}

fn step(name: &str, act: &str) -> Json {
    json!({ "name": name, "resource": "courier", "kind": "step", "do": act })
}

fn deliver(name: &str) -> Json {
    json!({ "name": name, "resource": "courier", "kind": "deliver", "do": "POST /tell" })
}

fn reserve(name: &str) -> Json {
    json!({ "name": name, "resource": "courier", "try": "POST /r", "confirm": "PUT /r",
        "cancel": "DELETE /r/{{hold.id}}" })
}

fn with(mut branch: Json, field: &str, value: Json) -> Json {
    branch[field] = value;
    branch
}

fn all(branches: Json) -> Json {
    json!({ "branches": branches })
}

fn sql(param: Json) -> Json {
    json!({ "name": "s", "resource": "bank", "sql": [["SELECT $1", [param]]] })
}

/// Which fields go with which kind and resource.
fn wrong_work() -> Vec<Json> {
    let a = step("a", "POST /a");
    let d = deliver("d");
    vec![
        json!({ "name": "a", "resource": "bank", "kind": "step", "do": "POST /a" }),
        with(sql(json!(1)), "kind", json!("deliver")),
        with(sql(json!(1)), "undo", json!("POST /a")),
        with(sql(json!(1)), "retry", json!({})),
        with(sql(json!(1)), "resource", json!("courier")),
        with(a.clone(), "keys", json!([])),
        with(a.clone(), "lock_timeout_ms", json!(5)),
        with(a.clone(), "do", Json::Null),
        with(a.clone(), "kind", json!("prepare")),
        with(a.clone(), "confirm", json!("POST /a")),
        with(a.clone(), "order_key", json!("k")),
        with(a, "message", json!({ "type": "t" })),
        with(d.clone(), "do", Json::Null),
        with(d.clone(), "message", json!({ "type": "t" })),
        with(d.clone(), "undo", json!("POST /a")),
        with(d, "undo_retry", json!({})),
        with(reserve("hold"), "cancel", Json::Null),
        with(reserve("hold"), "do", json!("POST /a")),
        with(reserve("hold"), "kind", json!("step")),
    ]
}

fn wrong_calls() -> Vec<Json> {
    let lines = ["POST", "post /a", "POST a", "POST  /a", "HEAD /a", "POST /a b", "POST /../a", ""];
    let mut calls: Vec<Json> = lines.map(Json::from).into();
    let header = |name: &str, value: &str| json!({ "call": "POST /a", "headers": { name: value } });
    calls.extend([
        header("Handfast-Branch", "x"),
        header("Idempotency-Key", "x"),
        header("Authorization", "Bearer x"),
        header("Connection", "close"),
        header("a b", "x"),
        header("x", "a\r\nb: c"),
        json!({ "call": "POST /a", "body": "x".repeat(399) }),
    ]);
    calls
}

fn wrong_plans() -> Vec<(Json, &'static str)> {
    let (a, b, d) = (step("a", "POST /a"), step("b", "POST /b"), deliver("d"));
    let after = |branch: &Json, names: Json| with(branch.clone(), "after", names);
    let uses = |text: &str| step("b", text);
    let retry = |retry: Json| all(json!([with(a.clone(), "retry", retry)]));
    let input = |input: Json| json!({ "input": input, "branches": [a] });
    let asks = |ask: Json| json!({ "open": true, "ask": ask, "branches": [] });
    let prepares = |branch: Json| {
        with(asks(json!({ "resource": "courier", "call": "GET /m" })), "branches", json!([branch]))
    };
    vec![
        (all(json!([after(&a, json!(["c"]))])), "unknown_after"),
        (all(json!([after(&a, json!(["d"])), d])), "after_delivery"),
        (all(json!([after(&a, json!(["b"])), b])), "cycle"),
        (all(json!([after(&a, json!(["a"]))])), "cycle"),
        (all(json!([a, uses("POST /b/{{a.id")])), "bad_template"),
        (all(json!([a, uses("POST /b/{{a..id}}")])), "bad_template"),
        (all(json!([a, sql(json!({ "output": "a id" }))])), "bad_template"),
        (all(json!([a, sql(json!({ "output": 7 }))])), "bad_parameter"),
        (all(json!([a, uses("POST /b/{{c.id}}")])), "unknown_name"),
        (all(json!([a, uses("POST /b/{{d.id}}"), d])), "no_output"),
        (all(json!([sql(json!(1)), uses("POST /b/{{s.id}}")])), "no_output"),
        (all(json!([step("a", "POST /{{a.id}}")])), "used_too_early"),
        (all(json!([a, after(&uses("POST /{{a.id}}"), json!([]))])), "used_too_early"),
        (all(json!([uses("POST /{{input.id}}")])), "missing_input"),
        (
            json!({ "input": { "id": 1 }, "branches": [uses("POST /{{input.ix}}")] }),
            "missing_input",
        ),
        (input(json!([])), "bad_input"),
        (input(json!({ "a": "x".repeat(65_536) })), "bad_input"),
        (retry(json!({ "attempts": 0 })), "retry_out_of_range"),
        (retry(json!({ "attempts": 1_001 })), "retry_out_of_range"),
        (retry(json!({ "call_ms": 60_001 })), "retry_out_of_range"),
        (retry(json!({ "within_ms": 0 })), "retry_out_of_range"),
        (retry(json!({ "first_ms": 10, "cap_ms": 9 })), "retry_out_of_range"),
        (retry(json!({ "tries": 9 })), "wrong_shape"),
        (json!({ "deadline_ms": 0, "branches": [a] }), "timeout_out_of_range"),
        (json!({ "deadline_ms": 2_592_000_001_u64, "branches": [a] }), "timeout_out_of_range"),
        (json!({ "deadline_ms": 5, "branches": [] }), "no_branches"),
        (asks(json!({ "resource": "bank", "call": "GET /m" })), "bad_ask"),
        (asks(json!({ "resource": "cour", "call": "GET /m" })), "unknown_resource"),
        (asks(json!({ "resource": "courier", "call": "GET m" })), "bad_call"),
        (asks(json!({ "resource": "courier", "call": "GET /{{a.id}}" })), "bad_ask"),
        (prepares(sql(json!(1))), "bad_ask"),
        (prepares(reserve("hold")), "bad_ask"),
        (json!({ "open": true, "hold": true, "branches": [a] }), "wrong_shape"),
        (json!({ "ask": { "resource": "courier", "call": "GET /m" }, "branches": [a] }), "bad_ask"),
        (all(json!([with(d.clone(), "order_key", json!(""))])), "bad_call"),
    ]
}

#[tokio::test]
async fn a_wrong_plan_is_refused_with_a_code_and_a_cure() {
    let world = world();
    let work = wrong_work().into_iter().map(|branch| (all(json!([branch])), "wrong_work"));
    let calls = wrong_calls().into_iter().flat_map(|call| {
        let undo = with(step("a", "POST /a"), "undo", call.clone());
        let mut branch = step("a", "");
        branch["do"] = call;
        [(all(json!([branch])), "bad_call"), (all(json!([undo])), "bad_call")]
    });
    for (mut body, code) in wrong_plans().into_iter().chain(work).chain(calls) {
        body["gid"] = json!("g1");
        let answer = world.post("/v1/transactions", &body).await;
        assert_eq!(answer.code(), code, "{body} got {}", answer.body);
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let cure = answer.body["cure"].as_str();
        assert!(cure.is_some_and(|cure| !cure.is_empty()), "{}", answer.body);
    }
    for (call, cure) in [
        (json!("/bookings"), "Write a method and a path"),
        (json!({ "call": "POST /", "body": "x".repeat(300_000) }), "Send less"),
        (json!({ "call": "POST /", "headers": { "cookie": "x" } }), "the resource's settings"),
    ] {
        let body = json!({ "gid": "g1", "branches": [with(step("a", "POST /a"), "do", call)] });
        let answer = world.post("/v1/transactions", &body).await;
        assert_eq!(answer.code(), "bad_call", "{}", answer.body);
        assert!(answer.body["cure"].as_str().unwrap().contains(cure), "{}", answer.body);
    }
    let ask = json!({ "resource": "courier", "call": "GET /{{input.id}}" });
    let itself = with(step("a", "POST /a"), "after", json!(["a"]));
    for (body, detail) in [
        (
            json!({ "open": true, "ask": ask, "input": {} }),
            "`ask` uses {{input.id}}, and the input has no such field",
        ),
        (all(json!([itself])), "\"a\" comes after itself"),
    ] {
        assert_eq!(world.post("/v1/transactions", body).await.body["detail"], detail);
    }
    for decide in ["paxos", "three_phase"] {
        let body = json!({ "decide": decide, "branches": [step("a", "POST /a")] });
        let answer = world.post("/v1/transactions", body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "decide_unsupported"));
    }
    assert_eq!(world.get("/v1/transactions/g1").await.status, StatusCode::NOT_FOUND);
}

const NOW_MS: u64 = 1_709_210_096_789;

fn begin(body: Json) -> Begin {
    let rules = Rules::new(&world().config, &Cluster::new("c1").unwrap());
    let request: wire::BeginTransaction = serde_json::from_value(body).unwrap();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    rules.begin(request, trace, NOW_MS).unwrap_or_else(|problem| panic!("{problem:?}"))
}

fn afters(begin: &Begin) -> Vec<Vec<u8>> {
    begin.branches.iter().map(|branch| branch.part.after.clone()).collect()
}

#[tokio::test]
async fn the_order_is_that_of_the_list_unless_after_says_otherwise() {
    let (a, b) = (step("a", "POST /a"), step("b", "POST /b/{{a.id}}"));
    let listed = begin(all(json!([sql(json!(1)), a, b, deliver("d"), deliver("e")])));
    assert_eq!(afters(&listed), [vec![1, 2], vec![], vec![1], vec![], vec![]]);
    assert_eq!(listed.branches[2].part.uses, [1]);
    assert_eq!(listed.branches[4].part.kind, Kind::Deliver);
    let side_by_side = [a.clone(), with(step("b", "POST /b"), "after", json!([]))];
    assert_eq!(afters(&begin(all(json!(side_by_side)))), [const { Vec::<u8>::new() }; 2]);
    // What comes before what comes before, too; of deliveries only deliveries.
    let graph = begin(all(json!([
        with(step("c", "POST /c"), "after", json!(["b"])),
        with(a, "after", json!([])),
        with(step("b", "POST /b"), "after", json!(["a"])),
        with(deliver("d"), "after", json!(["a", "e"])),
        deliver("e"),
    ])));
    assert_eq!(afters(&graph), [vec![1, 2], vec![], vec![1], vec![4], vec![]]);
}

#[tokio::test]
async fn a_plan_says_how_long_it_may_take() {
    let terms = |body: Json| begin(body).terms.unwrap();
    let a = step("a", "POST /a");
    let plain = terms(all(json!([a])));
    assert_eq!((plain.deadline_ms, plain.open, plain.timeout_ms), (None, false, 5_000));
    assert_eq!(plain.trace, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let open = terms(json!({ "open": true }));
    assert_eq!((open.deadline_ms, open.open), (Some(NOW_MS + 60_000), true));
    let held = terms(json!({ "hold": true, "branches": [a] }));
    assert_eq!((held.deadline_ms, held.hold), (Some(NOW_MS + 60_000), true));
    let given = begin(json!({ "deadline_ms": 700, "input": { "x": 1 }, "branches": [a] }));
    assert_eq!(given.terms.as_ref().unwrap().deadline_ms, Some(NOW_MS + 700));
    assert_eq!(given.terms.unwrap().input, r#"{"x":1}"#);
    assert!((700..10_000).contains(&given.wait_ms), "{}", given.wait_ms);
    assert!(begin(all(json!([a]))).wait_ms > 100_000, "without a deadline: as long as may be");
    let retry = json!({ "attempts": 7, "first_ms": 20_000 });
    let patient = begin(all(json!([with(a, "retry", retry), sql(json!(1))])));
    let hasty = json!({ "cap_ms": 100 });
    let hasty = begin(all(json!([with(step("a", "POST /a"), "retry", hasty)])));
    let hasty = &hasty.branches[0].part.patience;
    assert_eq!((hasty.first_ms, hasty.cap_ms), (100, 100), "only one is given");
    let [called, database] = [0, 1].map(|at: usize| patient.branches[at].part.clone());
    let wanted = Patience { attempts: Some(7), first_ms: 20_000, cap_ms: 20_000, ..Patience::STEP };
    assert_eq!((called.patience, called.persistence), (wanted, Patience::UNTIL_DONE));
    assert_eq!((database.persistence.attempts, database.persistence.cap_ms), (None, 2_000));
}

#[tokio::test]
async fn what_only_prepares_has_no_plan() {
    let plain = begin(json!({ "gid": "g", "hold": true, "branches": [sql(json!(1))] }));
    assert!(plain.terms.is_none());
    assert_eq!(plain.branches[0].part, Default::default());
    for more in [
        all(json!([sql(json!(1)), step("a", "POST /a")])),
        all(json!([with(reserve("hold"), "after", json!([]))])),
        json!({ "input": { "x": 1 }, "branches": [sql(json!({ "output": "input.x" }))] }),
        json!({ "deadline_ms": 9, "branches": [sql(json!(1))] }),
    ] {
        assert!(begin(more.clone()).terms.is_some(), "{more}");
    }
}

#[tokio::test]
async fn a_message_is_a_cloud_event() {
    let message =
        json!({ "type": "order.placed", "subject": "s1", "data": { "n": "{{input.n}}" } });
    let tell = json!({ "name": "tell", "resource": "courier", "kind": "deliver",
        "message": message, "order_key": "k" });
    let begun = begin(json!({ "gid": "g1", "input": { "n": 1 }, "branches": [tell] }));
    let Work::Calls(calls) = &begun.branches[0].work else { panic!("no call") };
    assert_eq!((&*calls.act.method, &*calls.act.path), ("POST", "/"));
    assert_eq!(calls.act.headers, [("content-type".into(), "application/cloudevents+json".into())]);
    assert_eq!(calls.order_key.as_deref(), Some("k"));
    let event: Json = serde_json::from_str(&calls.act.body).unwrap();
    let wanted = json!({
        "specversion": "1.0", "id": "g1/tell", "source": "/handfast/c1", "type": "order.placed",
        "subject": "s1", "time": "2024-02-29T12:34:56.789Z",
        "datacontenttype": "application/json", "data": { "n": "{{input.n}}" },
    });
    assert_eq!(event, wanted);
}

#[tokio::test]
async fn the_fingerprint_covers_what_a_plan_does() {
    let a = step("a", "POST /a");
    let print = |body: Json| begin(body).fingerprint;
    let plain = print(json!({ "open": true, "branches": [a] }));
    let same = json!({ "gid": "g", "open": true, "deadline_ms": 9, "wait": "none",
        "branches": [a] });
    assert_eq!(plain, print(same));
    for other in [
        json!({ "open": true }),
        json!({ "branches": [a] }),
        json!({ "open": true, "input": {}, "branches": [a] }),
        json!({ "open": true, "branches": [step("a", "POST /b")] }),
        json!({ "open": true, "branches": [with(a.clone(), "undo", json!("POST /u"))] }),
        json!({ "open": true, "branches": [a],
            "ask": { "resource": "courier", "call": "GET /m" } }),
    ] {
        assert_ne!(plain, print(other.clone()), "{other}");
    }
}
