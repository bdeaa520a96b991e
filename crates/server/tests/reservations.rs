//! Reservations whose tries are refused, lost or never sent, at a real service.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::{
    requests::{World, nowhere},
    service::Service,
    services::{ends, shows},
};

/// That there is nothing to cancel means that it is cancelled.
fn reservation(name: &str) -> Json {
    json!({ "name": name, "resource": "svc", "absent_is_undone": true,
        "try": format!("POST /{name}"), "confirm": format!("PUT /{name}"),
        "cancel": format!("DELETE /{name}"),
        "retry": { "first_ms": 20, "call_ms": 300 },
        "undo_retry": { "first_ms": 20, "cap_ms": 20, "attempts": 2 } })
}

async fn world(service: &Service) -> World {
    World::new(&[("resources.svc.url", &service.url)])
}

/// The try hangs when somebody else refuses, and may arrive at any time. That the service has
/// nothing to cancel says nothing then: the late try would reserve what nobody cancels.
#[tokio::test]
async fn nothing_to_cancel_is_no_end_while_a_try_may_arrive() {
    let service = Service::start(|heard| match heard.call.as_str() {
        "POST /slow" => (0, Json::Null),
        "POST /full" => (409, json!("sold out")),
        _ => (404, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let (slow, full) = (reservation("slow"), reservation("full"));
    let begun = Instant::now();
    let body = json!({ "gid": "t1", "branches": [slow, full] });
    let done = world.post("/v1/transactions", body).await;
    assert_eq!(done.code(), "service_refused", "{}", done.body);
    // The cancel leaves when the call under way is given up, and is tried again.
    service.hears(5).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(service.calls()[2..].iter().all(|call| call == "cancel DELETE /slow"));
    let shown = shows(&world, "t1", |shown| shown["stuck"] == true).await;
    assert_eq!((shown["state"].as_str(), done.body["outcome"].as_str()), (Some("aborting"), None));
    let why = shown["branches"][0]["last_answer"].as_str().unwrap();
    assert!(why.contains("404") && why.contains("may still arrive"), "{shown}");
    // The late try has come: there is something to cancel.
    service.answer(|_| (200, Json::Null));
    ends(&world, "t1", "aborted").await;
}

#[tokio::test]
async fn nothing_to_cancel_is_the_end_if_every_try_was_answered() {
    let service = Service::start(|heard| match heard.call.as_str() {
        "POST /seat" => (200, Json::Null),
        "POST /odd" => (400, Json::Null),
        _ => (404, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let mut odd = reservation("odd");
    odd["after"] = json!(["seat"]);
    let body = json!({ "gid": "t1", "branches": [reservation("seat"), odd] });
    let done = world.post("/v1/transactions", body).await;
    assert_eq!(done.code(), "service_broken", "{}", done.body);
    ends(&world, "t1", "aborted").await;
    let mut calls = service.calls();
    calls[2..].sort();
    assert_eq!(
        calls,
        ["try POST /seat", "try POST /odd", "cancel DELETE /odd", "cancel DELETE /seat"]
    );
}

/// The same of a step whose do was lost.
#[tokio::test]
async fn nothing_to_undo_is_no_end_while_a_do_may_arrive() {
    let service = Service::start(|heard| match heard.verb.as_str() {
        "do" => (500, Json::Null),
        _ => (404, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let step = json!({ "name": "book", "resource": "svc", "kind": "step",
        "do": "POST /book", "undo": "DELETE /book", "absent_is_undone": true,
        "retry": { "attempts": 1 }, "undo_retry": { "first_ms": 20, "cap_ms": 20 } });
    let done = world.post("/v1/transactions", json!({ "gid": "s1", "branches": [step] })).await;
    assert_eq!(done.code(), "step_timeout", "{}", done.body);
    service.hears(4).await;
    let shown = world.get("/v1/transactions/s1").await.body;
    assert_eq!(shown["state"], "aborting", "{shown}");
    service.answer(|_| (200, Json::Null));
    ends(&world, "s1", "aborted").await;
}

#[tokio::test]
async fn what_was_never_tried_is_not_cancelled() {
    let address = nowhere();
    let world = World::new(&[("resources.svc.url", &format!("service+http://{address}"))]);
    let body = json!({ "gid": "t1", "wait": "none", "timeout_ms": 60_000,
        "branches": [reservation("seat")] });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    shows(&world, "t1", |shown| shown["branches"][0]["last_answer"].is_string()).await;
    let told = world.post("/v1/transactions/t1:abort", "").await;
    assert_eq!(told.body["outcome"], "aborted", "{}", told.body);
    // Nobody is there to be called: so nobody was to be.
    ends(&world, "t1", "aborted").await;
}
