//! Sagas: kept durably, never changed, and run.

use axum::{body::Body, http::Request};
use handfast_client::wire;
use handfast_server::sagas::{NotKept, Sagas};
use serde_json::{Value as Json, json};

use crate::{
    requests::{Answer, World},
    service::Service,
    services::shows,
};

fn order(version: u32) -> Json {
    json!({ "name": "order", "version": version, "description": "books a room",
        "input": { "type": "object", "required": ["room"] },
        "branches": [{ "name": "book", "resource": "svc", "kind": "step",
            "do": "POST /book/{{input.room}}", "undo": "DELETE /book/{{input.room}}" }] })
}

async fn apply(world: &World, definition: &Json) -> Answer {
    let path = format!("/v1/sagas/{}", definition["name"].as_str().unwrap());
    let request = Request::put(path).header("content-type", "application/json");
    world.send(request.body(Body::from(definition.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_saga_is_applied_shown_and_run() {
    let service = Service::start(|_| (200, Json::Null)).await;
    let world = World::new(&[("resources.svc.url", &service.url)]);
    let first = apply(&world, &order(1)).await;
    assert_eq!(first.status.as_u16(), 200, "{}", first.body);
    let again = apply(&world, &order(1)).await;
    assert_eq!(again.body["applied_at_ms"], first.body["applied_at_ms"], "it is kept once");
    let mut other = order(1);
    other["description"] = json!("something else");
    let taken = apply(&world, &other).await;
    assert_eq!((taken.status.as_u16(), taken.code()), (409, "saga_version_taken"));
    other["version"] = json!(2);
    other["branches"][0]["do"] = json!("POST /second/{{input.room}}");
    assert_eq!(apply(&world, &other).await.status.as_u16(), 200);

    let listed = world.get("/v1/sagas").await;
    assert_eq!(listed.body[0]["versions"], json!([1, 2]), "{}", listed.body);
    let shown = world.get("/v1/sagas/order").await;
    assert_eq!(shown.body["definition"]["version"], 2, "the last: {}", shown.body);
    let shown = world.get("/v1/sagas/order?version=1").await;
    assert_eq!(shown.body["definition"]["description"], "books a room");

    let run = |body: Json| world.post("/v1/sagas/order:run", body);
    let done = run(json!({ "gid": "r1", "input": { "room": 7 }, "version": 1 })).await;
    assert_eq!((done.status.as_u16(), &done.body["gid"]), (200, &json!("r1")), "{}", done.body);
    let other = run(json!({ "gid": "r1", "input": { "room": 7 } })).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "other_content"), "another version");
    assert_eq!(run(json!({ "input": { "room": 8 } })).await.status.as_u16(), 200);
    assert_eq!(service.calls(), ["do POST /book/7", "do POST /second/8"]);
    assert_eq!(world.get("/v1/transactions/r1").await.body["saga"], "order@1");
    let bad = run(json!({ "input": {} })).await;
    assert_eq!((bad.status.as_u16(), bad.code()), (422, "bad_input"));
}

#[tokio::test]
async fn runs_of_a_saga_are_listed() {
    let service = Service::start(|heard| match heard.call.as_str() {
        "POST /book/9" => (500, Json::Null),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = World::new(&[("resources.svc.url", &service.url)]);
    let mut other = order(1);
    other["name"] = json!("order-2");
    for definition in [order(1), other] {
        assert_eq!(apply(&world, &definition).await.status.as_u16(), 200);
    }
    for (saga, gid, room) in [("order", "r1", 7), ("order-2", "r2", 7), ("order", "r3", 9)] {
        let body = json!({ "gid": gid, "input": { "room": room }, "wait": "none" });
        world.post(&format!("/v1/sagas/{saga}:run"), body).await;
        let begun =
            |shown: &Json| shown["branches"][0]["attempts"] != 0 || shown["state"] != "running";
        shows(&world, gid, |shown| !shown["branches"].is_null() && begun(shown)).await;
    }
    let list = async |query: &str| -> Vec<String> {
        let page = world.get(&format!("/v1/transactions?{query}")).await.body;
        let lines = page["transactions"].as_array().unwrap().iter();
        lines.map(|line| format!("{} {}", line["gid"], line["saga"]).replace('"', "")).collect()
    };
    assert_eq!(list("saga=order").await, ["r3 order@1", "r1 order@1"]);
    assert_eq!(list("saga=order&state=open").await, ["r3 order@1"]);
    assert_eq!(list("saga=order&resource=svc&limit=1").await, ["r3 order@1"]);
    assert_eq!(list("saga=order-2").await, ["r2 order-2@1"]);
    assert!(
        list("saga=orde").await.is_empty() && list("saga=order&resource=bank").await.is_empty()
    );
}

#[tokio::test]
async fn what_cannot_run_is_not_kept() {
    let service = Service::start(|_| (200, Json::Null)).await;
    let world = World::new(&[("resources.svc.url", &service.url)]);
    let with = |path: &str, value: Json| {
        let mut definition = order(1);
        *definition.pointer_mut(path).unwrap() = value;
        definition
    };
    let mut late = order(1);
    late["deadline_ms"] = json!(2_592_000_001_u64);
    for (definition, code) in [
        (late, "timeout_out_of_range"),
        (with("/version", json!(0)), "bad_saga"),
        (with("/name", json!("a:b")), "bad_saga"),
        (with("/branches/0/do", json!("POST /{{nobody.id}}")), "bad_saga"),
        (with("/branches/0/resource", json!("svd")), "unknown_resource"),
        (with("/branches/0/resource", json!("bank")), "wrong_work"),
        (with("/branches/0/do", json!("POST /../x")), "bad_call"),
        (with("/branches/0/kind", json!("stride")), "wrong_shape"),
        (with("/description", json!("x".repeat(300_000))), "sagas_full"),
    ] {
        let answer = apply(&world, &definition).await;
        assert_eq!(answer.code(), code, "{}", answer.body);
    }
    let elsewhere = Request::put("/v1/sagas/other").header("content-type", "application/json");
    let elsewhere = elsewhere.body(Body::from(order(1).to_string())).unwrap();
    assert_eq!(world.send(elsewhere).await.code(), "bad_saga", "another name");
    assert_eq!(world.get("/v1/sagas").await.body, json!([]));
    for path in ["/v1/sagas/order", "/v1/sagas/order?version=1"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_such_saga"));
    }
    assert_eq!(world.post("/v1/sagas/order:run", "{}").await.code(), "no_such_saga");
    assert_eq!(world.post("/v1/sagas/order:walk", "{}").await.code(), "no_such_route");
    assert_eq!(world.get("/v1/sagas/order?version=one").await.code(), "bad_query");
}

#[tokio::test]
async fn a_disk_that_does_not_take_it_is_no_bug() {
    let service = Service::start(|_| (200, Json::Null)).await;
    let world = World::new(&[("resources.svc.url", &service.url)]);
    let dir = world.config.data_dir.join("sagas");
    std::fs::remove_dir(&dir).unwrap();
    let answer = apply(&world, &order(1)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (500, "not_written"), "{}", answer.body);
    std::fs::create_dir(&dir).unwrap();
    assert_eq!(apply(&world, &order(1)).await.status.as_u16(), 200);
}

fn saga(version: u32) -> wire::Saga {
    let definition = serde_json::from_value(order(version)).unwrap();
    wire::Saga { definition, findings: Vec::new(), applied_at_ms: 5 }
}

#[test]
fn what_is_kept_is_there_after_a_restart_and_what_is_unfinished_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let first = Sagas::open(dir.path()).unwrap();
    first.keep(saga(1)).unwrap();
    first.keep(saga(2)).unwrap();
    std::fs::write(dir.path().join("sagas/order.3.json.tmp"), "{").unwrap();
    let second = Sagas::open(dir.path()).unwrap();
    assert_eq!(second.list(), first.list());
    assert_eq!(second.get("order", Some(1)).unwrap().saga, saga(1));
    assert!(second.get("order", Some(3)).is_none());
    let mut other = saga(2);
    other.definition.description.clear();
    assert!(matches!(second.keep(other), Err(NotKept::VersionTaken)));
    // What is not what was written is told, and not passed over.
    std::fs::write(dir.path().join("sagas/order.3.json"), "{").unwrap();
    assert!(Sagas::open(dir.path()).is_err());
    std::fs::copy(dir.path().join("sagas/order.1.json"), dir.path().join("sagas/order.3.json"))
        .unwrap();
    assert!(Sagas::open(dir.path()).is_err());
}
