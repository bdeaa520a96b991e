//! What would follow from a word, as the API words it.

use serde_json::{Value as Json, json};

use crate::{
    requests::{World, nowhere},
    services::{AMPLE, ends, shows},
    steps::{over, step, tell, well},
};

#[tokio::test]
async fn a_dry_run_says_what_leaves_at_once_and_what_comes_later() {
    let (world, service) = over(well).await;
    let mut fee = step("fee");
    fee["undo"] = Json::Null;
    let seat = json!({ "name": "seat", "resource": "svc", "try": "POST /seat/{{book.id}}",
        "confirm": "PUT /seat", "cancel": "DELETE /seat" });
    let body = json!({ "gid": "o1", "open": true, "branches": [step("book"), fee, seat, tell()] });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    service.hears(2).await;
    shows(&world, "o1", |shown| shown["branches"][1]["state"] == "done").await;
    let dry = async |word: &str| {
        let path = format!("/v1/transactions/o1:{word}?dry_run=true");
        world.post(&path, json!({ "reason": "enough" })).await.body
    };
    let commit = json!({
        "records": ["sealed: no branch is added any more"],
        "effects": ["try seat at svc: POST /seat/7"],
        "later": ["the decision when all have voted",
            "if that is to commit: deliver tell at svc: POST /",
            "if that is to abort: fee at svc stays as it is: it has no undo",
            "if that is to abort: undo book at svc: DELETE /book"],
    });
    assert_eq!(dry("commit").await, commit);
    let abort = json!({
        "records": ["decided to abort: enough (by anonymous); book done, fee done, seat not begun"],
        "effects": ["undo book at svc: DELETE /book"],
        "later": ["fee at svc stays as it is: it has no undo"],
    });
    assert_eq!(dry("abort").await, abort);
    assert_eq!(service.calls().len(), 2, "nothing has left");
    world.post("/v1/transactions/o1:abort", "").await;
    ends(&world, "o1", "aborted").await;
    let late = dry("commit").await;
    assert_eq!(late["code"], "wrong_state", "{late}");
}

#[tokio::test]
async fn a_dry_run_says_first_that_part_of_it_would_have_happened() {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /" => (400, json!("what?")),
        _ => (200, json!({ "id": 7 })),
    })
    .await;
    let body = json!({ "gid": "o1", "wait": "none", "branches": [step("book"), tell()] });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    service.hears(2).await;
    shows(&world, "o1", |shown| shown["stuck"] == true).await;
    let dry = async |outcome: &str| {
        let word = json!({ "branch": "tell", "outcome": outcome, "reason": "seen" });
        world.post("/v1/transactions/o1:resolve?dry_run=true", word).await.body
    };
    let against = json!({
        "warning": "It would be MIXED: part of it happened. This cannot be taken back.",
        "records": ["tell declared undone: seen (by anonymous)", "finished"],
        "effects": [],
    });
    assert_eq!(dry("aborted").await, against);
    let as_decided = json!({
        "records": ["tell declared done: seen (by anonymous)", "finished"],
        "effects": [],
    });
    assert_eq!(dry("committed").await, as_decided);
}

/// A message alone.
fn message(gid: &str, resource: &str, more: Json) -> Json {
    let mut delivery = json!({ "name": "tell", "resource": resource, "kind": "deliver",
        "do": "POST /told" });
    delivery.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "gid": gid, "branches": [delivery] })
}

#[tokio::test]
async fn a_dry_run_tells_which_delivery_it_sets_free() {
    let (world, service) = over(|_| (400, json!("what?"))).await;
    for gid in ["key-1", "key-2", "key-3"] {
        let body = message(gid, "svc", json!({ "order_key": "k" }));
        assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 200);
    }
    let alone = message("alone", "svc", json!({}));
    assert_eq!(world.post("/v1/transactions", alone).await.status.as_u16(), 200);
    for gid in ["key-1", "alone"] {
        shows(&world, gid, |shown| shown["stuck"] == true).await;
    }
    let word = json!({ "branch": "tell", "outcome": "aborted", "reason": "old" });
    let dry = async |gid: &str| {
        let path = format!("/v1/transactions/{gid}:resolve?dry_run=true");
        world.post(&path, &word).await.body
    };
    let freed = "what waits behind tell at svc: that of key-2 (order key \"k\")";
    assert_eq!(dry("key-1").await["effects"], json!([freed]));
    assert_eq!(dry("alone").await["effects"], json!([]));
    let nothing = "It would be MIXED: commit was decided, and nothing of it happened. This cannot \
                   be taken back.";
    assert_eq!(dry("alone").await["warning"], nothing);
    assert!(service.heard().iter().all(|heard| heard.gid != "key-2"), "nothing has left");
    world.post("/v1/transactions/key-1:resolve", &word).await;
    shows(&world, "key-2", |shown| shown["stuck"] == true).await;
}

#[tokio::test]
async fn nothing_leaves_at_once_for_a_service_that_is_down() {
    let away = format!("service+http://{}", nowhere());
    let world = World::new(&[("resources.away.url", away.as_str())]);
    let body = message("o1", "away", json!({ "retry": { "first_ms": 60_000 } }));
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 200);
    let waits = |shown: &Json| {
        let answer = shown["branches"][0]["last_answer"].as_str();
        answer.is_some_and(|answer| answer.contains("refused"))
    };
    shows(&world, "o1", waits).await;
    let is_down = async {
        while world.get("/v1/resources").await.body[0]["health"] != "down" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AMPLE, is_down).await.unwrap();
    let retry = "/v1/transactions/o1:retry?dry_run=true";
    let dry = world.post(retry, json!({ "branch": "tell" })).await.body;
    assert_eq!(dry["effects"], json!([]), "{dry}");
    let later = "deliver tell at away: POST /told, when away answers again";
    assert_eq!(dry["later"], json!([later]), "{dry}");
}

#[tokio::test]
async fn a_word_that_was_said_already_changes_nothing_and_says_so() {
    let (world, _service) = over(well).await;
    let body = json!({ "gid": "o1", "open": true, "branches": [step("book")] });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    let abort = async || {
        world.post("/v1/transactions/o1:abort?dry_run=true", json!({ "reason": "x" })).await.body
    };
    assert!(abort().await.get("warning").is_none());
    world.post("/v1/transactions/o1:abort", "").await;
    ends(&world, "o1", "aborted").await;
    let said = "It changes nothing: abort was decided already.";
    assert_eq!(abort().await, json!({ "warning": said, "records": [], "effects": [] }));
}
