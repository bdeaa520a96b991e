//! What a finished transaction still tells: its calls, and how they came to their ends.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value as Json, json};

use crate::{
    requests::World,
    service::Heard,
    services::shows,
    steps::{over, step, tell},
};

/// The lines of a finished transaction's timeline that tell where a call ended: what, which branch,
/// which call, how many tries. Of the node's memory there is nothing any more.
async fn calls(world: &World, gid: &str) -> Vec<(String, String, String, u64)> {
    let is_over = |shown: &Json| {
        let timeline = shown["timeline"].as_array();
        timeline.is_some_and(|all| all.last().is_some_and(|last| last["what"] == "finished"))
    };
    let shown = shows(world, gid, is_over).await;
    let timeline = shown["timeline"].as_array().unwrap();
    assert!(timeline.iter().all(|line| line["what"] != "asked"), "{shown}");
    let called = timeline.iter().filter(|line| line.get("call").is_some());
    let called = called.map(|line| {
        let word = |field: &str| line[field].as_str().unwrap().to_owned();
        assert!(line["took_ms"].is_u64(), "{line}");
        (word("what"), word("branch"), word("call"), line["tries"].as_u64().unwrap())
    });
    called.collect()
}

fn line(what: &str, branch: &str, call: &str, tries: u64) -> (String, String, String, u64) {
    (what.into(), branch.into(), call.into(), tries)
}

/// Fails the first call of each kind that is named.
fn fails_first(names: &'static [&'static str]) -> impl Fn(&Heard) -> bool + Send + Sync {
    let failed: Vec<_> = names.iter().map(|_| AtomicBool::new(false)).collect();
    move |heard| {
        let at = names.iter().position(|name| *name == heard.call);
        at.is_some_and(|at| !failed[at].swap(true, Ordering::Relaxed))
    }
}

#[tokio::test]
async fn an_aborted_one_tells_what_was_done_refused_and_undone() {
    let fails = fails_first(&["POST /book", "DELETE /book"]);
    let (world, _service) = over(move |heard| match heard.call.as_str() {
        _ if fails(heard) => (500, Json::Null),
        "POST /pay" => (422, json!({ "why": "no money" })),
        _ => (200, Json::Null),
    })
    .await;
    let body = json!({ "gid": "s1", "branches": [step("book"), step("pay"), step("ship")] });
    assert_eq!(world.post("/v1/transactions", body).await.code(), "service_refused");
    let told = calls(&world, "s1").await;
    let refused = line("not done", "pay", "do", 1);
    assert_eq!(told, [line("done", "book", "do", 2), refused, line("undone", "book", "undo", 2)]);
}

#[tokio::test]
async fn a_committed_one_tells_what_was_tried_confirmed_and_delivered() {
    let fails = fails_first(&["POST /hold", "POST /"]);
    let (world, _service) = over(move |heard| match heard.call.as_str() {
        _ if fails(heard) => (500, Json::Null),
        _ => (200, json!({ "id": 7 })),
    })
    .await;
    let seat = json!({ "name": "seat", "resource": "svc", "try": "POST /hold",
        "confirm": "POST /confirm", "cancel": "DELETE /hold" });
    let mut tell = tell();
    tell["retry"] = json!({ "first_ms": 20 });
    let body = json!({ "gid": "s1", "ack": "applied", "branches": [step("book"), seat, tell] });
    let done = world.post("/v1/transactions", body).await;
    assert_eq!(done.status.as_u16(), 200, "{}", done.body);
    let mut told = calls(&world, "s1").await;
    // These go side by side.
    told[2..].sort();
    let (confirmed, delivered) =
        (line("confirmed", "seat", "confirm", 1), line("delivered", "tell", "deliver", 2));
    let voted = line("voted yes", "seat", "try", 2);
    assert_eq!(told, [line("done", "book", "do", 1), voted, confirmed, delivered]);
}

#[tokio::test]
async fn calls_are_shown_without_what_their_headers_say() {
    let (world, _service) = over(|_| (200, json!({ "id": 7 }))).await;
    let mut pay = step("pay");
    pay["do"] = json!({ "call": "POST /pay/{{book.id}}", "headers": { "x-key": "a-secret" },
        "body": { "card": "{{book.id}}" } });
    let body = json!({ "gid": "s1", "branches": [step("book"), pay] });
    let done = world.post("/v1/transactions", body).await;
    assert_eq!(done.status.as_u16(), 200, "{}", done.body);
    let shown = world.get("/v1/transactions/s1").await.body;
    let calls = json!([
        { "verb": "do", "call": "POST /pay/{{book.id}}", "headers": ["x-key"],
          "body": { "card": "{{book.id}}" } },
        { "verb": "undo", "call": "DELETE /pay" },
    ]);
    assert_eq!(shown["branches"][1]["calls"], calls, "{shown}");
    assert!(!shown.to_string().contains("a-secret"), "{shown}");
    assert!(done.body["branches"][1].get("calls").is_none(), "who runs it knows them");
}
