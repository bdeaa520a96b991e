//! Sagas as definitions: what is sent, and what comes of the answers.

use std::time::Duration;

use handfast_client::{
    Error,
    wire::{Branch, BranchKind, RunSaga, SagaDefinition, Wait},
};
use serde_json::json;

use crate::script::{Script, answer, problem, transaction};

fn definition() -> SagaDefinition {
    let branch = Branch {
        name: "book".into(),
        resource: "courier".into(),
        kind: Some(BranchKind::Step),
        act: Some("POST /bookings".into()),
        ..Branch::default()
    };
    SagaDefinition { name: "trip".into(), version: 2, branches: vec![branch], ..Default::default() }
}

#[tokio::test]
async fn a_definition_is_put_and_what_is_kept_comes_back() {
    let saga = json!({ "definition": definition(), "applied_at_ms": 7, "findings": [
        { "level": "warning", "code": "no_deadline", "message": "m", "better": "b" },
    ] });
    let node = Script::new(vec![answer(200, saga)]).await;
    let kept = node.client().sagas().apply(&definition()).await.unwrap();
    assert_eq!((&kept.definition, kept.applied_at_ms), (&definition(), 7));
    let heard = &node.heard()[0];
    assert!(heard.line.starts_with("PUT /v1/sagas/trip "), "{}", heard.line);
    assert_eq!(
        heard.body,
        json!({ "name": "trip", "version": 2, "branches": [
            { "name": "book", "resource": "courier", "kind": "step",
              "do": { "call": "POST /bookings" } },
        ] })
    );
    assert_eq!(node.client().sagas().get("trip", Some(2)).await.unwrap(), kept);
    assert!(node.heard()[1].line.starts_with("GET /v1/sagas/trip?version=2 "));
    node.client().sagas().get("a/b", None).await.unwrap();
    assert!(node.heard()[2].line.starts_with("GET /v1/sagas/a%2Fb "), "{}", node.heard()[2].line);
}

#[tokio::test]
async fn a_taken_version_is_a_bad_request() {
    let node = Script::new(vec![answer(409, problem(409, "saga_version_taken"))]).await;
    let error = node.client().sagas().apply(&definition()).await.unwrap_err();
    assert!(matches!(error, Error::BadRequest(_)), "{error}");
    assert_eq!(error.problem().unwrap().code, "saga_version_taken");
}

#[tokio::test]
async fn the_list_is_read() {
    let line = json!({ "name": "trip", "versions": [1, 2], "applied_at_ms": 7 });
    let node = Script::new(vec![answer(200, json!([line]))]).await;
    let lines = node.client().sagas().list().await.unwrap();
    assert_eq!((lines[0].name.as_str(), lines[0].versions.as_slice()), ("trip", &[1, 2][..]));
    assert!(node.heard()[0].line.starts_with("GET /v1/sagas "));
}

#[tokio::test]
async fn a_run_has_a_name_so_that_it_can_be_said_again() {
    let node = Script::new(vec![answer(200, transaction("committed", "committed"))]).await;
    let run =
        RunSaga { input: Some(json!({ "a": 1 })), wait: Some(Wait::None), ..RunSaga::default() };
    let outcome = node.client().sagas().run("trip", &run, Duration::ZERO).await.unwrap();
    assert!(outcome.is_committed());
    let heard = &node.heard()[0];
    assert!(heard.line.starts_with("POST /v1/sagas/trip:run "), "{}", heard.line);
    assert!(heard.body["gid"].as_str().unwrap().len() > 10);
    assert_eq!((&heard.body["input"], &heard.body["wait"]), (&json!({ "a": 1 }), &json!("none")));
    let node = Script::new(vec![answer(422, problem(422, "bad_input"))]).await;
    let error = node.client().sagas().run("trip", &run, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::BadRequest(_)), "{error}");
}
