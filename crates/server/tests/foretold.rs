//! What would follow from a word, as the API words it.

use serde_json::{Value as Json, json};

use crate::{
    services::{ends, shows},
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
