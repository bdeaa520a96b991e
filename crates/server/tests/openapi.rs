//! The OpenAPI document is fresh, and says all that the router answers.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use handfast_server::openapi;
use serde_json::Value as Json;

use crate::requests::World;

#[test]
fn the_document_is_fresh() {
    crate::assert_fresh("openapi.json", &openapi::json());
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document: Json = serde_json::from_str(&openapi::json()).unwrap();
    let mut found = 0;
    visit(&document, &mut |reference| {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        found += 1;
    });
    assert!(found > 20);
}

fn visit(value: &Json, seen: &mut impl FnMut(&str)) {
    match value {
        Json::Object(object) => {
            if let Some(Json::String(reference)) = object.get("$ref") {
                seen(reference);
            }
            object.values().for_each(|value| visit(value, seen));
        }
        Json::Array(items) => items.iter().for_each(|value| visit(value, seen)),
        _ => {}
    }
}

/// Nobody believes that a parameter did something which nobody read.
#[tokio::test]
async fn whatever_does_something_refuses_a_query_that_it_does_not_know() {
    let world = World::new(&[]);
    let document: Json = serde_json::from_str(&openapi::json()).unwrap();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|method| *method != "get") {
            let path = path.replace("{gid}", "g").replace("{name}", "bank");
            let request = Request::builder().method(&*method.to_uppercase());
            let request = request.uri(format!("{path}?colour=red")).body(Body::empty());
            let answer = world.send(request.unwrap()).await;
            let said = (answer.status.as_u16(), answer.code());
            assert_eq!(said, (400, "bad_query"), "{method} {path}: {}", answer.body);
            asked += 1;
        }
    }
    assert!(asked > 12, "{asked}");
}

#[tokio::test]
async fn what_is_documented_is_answered_and_what_is_answered_is_documented() {
    let world = World::new(&[]);
    let document: Json = serde_json::from_str(&openapi::json()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        let concrete =
            path.replace("{gid}", "g").replace("{name}", "bank").replace("{branch}", "b");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let documented = operations.get(method.to_lowercase()).is_some();
            let method: Method = method.parse().unwrap();
            let request = Request::builder().method(&method).uri(&concrete);
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            let routed =
                answer.status != StatusCode::METHOD_NOT_ALLOWED && answer.code() != "no_such_route";
            // A GET of `…:commit` is a question for a gid that ends so, not a route of its own.
            let asks = [Method::GET, Method::PUT].contains(&method);
            let verb_as_gid = asks && path.contains("}:");
            assert!(documented == routed || verb_as_gid, "{method} {path}: {}", answer.status);
        }
    }
    // The router does not list its routes; its source does.
    let source = include_str!("../src/api.rs");
    let routes: Vec<_> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.len() > 8);
    for route in routes {
        let known = paths.keys().any(|path| {
            path.split("}:").next().unwrap() == route.trim_end_matches('}') || path == route
        });
        assert!(known, "{route} is not in docs/openapi.json");
    }
}
