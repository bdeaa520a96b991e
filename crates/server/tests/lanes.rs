//! Ordered deliveries: one after the other in each lane, also over a restart.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::Router;
use handfast_server::{
    api,
    config::Config,
    node::{Node, NodeSettings},
};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::{
    requests::World,
    service::{Heard, Service},
    services::{ends, shows},
};

fn well(_: &Heard) -> (u16, Json) {
    (200, Json::Null)
}

/// A message alone; its data say which.
fn message(gid: &str, key: &str) -> Json {
    json!({ "gid": gid, "branches": [delivery(key)] })
}

fn delivery(key: &str) -> Json {
    json!({ "name": "tell", "resource": "svc", "kind": "deliver", "do": "POST /told",
        "order_key": key, "retry": { "first_ms": 20, "cap_ms": 50 } })
}

async fn send(world: &World, message: Json) {
    let answer = world.post("/v1/transactions", message).await;
    assert_eq!(answer.body["outcome"], "committed", "{}", answer.body);
}

fn gids(service: &Service) -> Vec<String> {
    service.heard().into_iter().map(|heard| heard.gid).collect()
}

#[tokio::test]
async fn a_delivery_waits_until_the_one_before_it_has_arrived() {
    let fails = AtomicUsize::new(3);
    let service = Service::start(move |heard| {
        let again = heard.gid == "m0"
            && fails
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok();
        (if again { 500 } else { 200 }, Json::Null)
    });
    let service = service.await;
    let world = World::new(&[("resources.svc.url", &service.url)]);
    for number in 0..4 {
        send(&world, message(&format!("m{number}"), "k")).await;
    }
    ends(&world, "m3", "committed").await;
    assert_eq!(gids(&service), ["m0", "m0", "m0", "m0", "m1", "m2", "m3"]);
}

#[tokio::test]
async fn a_stuck_delivery_holds_up_its_lane_only_until_it_is_resolved() {
    let service = Service::start(|heard| match heard.gid.as_str() {
        "stuck" => (404, json!("no such path")),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = World::new(&[("resources.svc.url", &service.url)]);
    send(&world, message("stuck", "k")).await;
    send(&world, message("behind", "k")).await;
    send(&world, message("last", "k")).await;
    for other in ["other-1", "other-2"] {
        send(&world, message(other, "another")).await;
        ends(&world, other, "committed").await;
    }
    assert!(!gids(&service).contains(&"behind".into()), "{:?}", gids(&service));
    // One that waits in the middle is taken out, and nothing leaves for that.
    let word = |reason: &str| json!({ "branch": "tell", "outcome": "committed", "reason": reason });
    let told = world.post("/v1/transactions/behind:resolve", word("sent by hand")).await;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    let told = world.post("/v1/transactions/stuck:resolve", word("sent by hand, too")).await;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    ends(&world, "last", "committed").await;
    assert!(!gids(&service).contains(&"behind".into()), "{:?}", gids(&service));
}

/// A word about another branch of a transaction does not give its delivery a second place.
#[tokio::test]
async fn what_waits_in_its_lane_waits_there_once() {
    let service = Service::start(|heard| match (heard.gid.as_str(), heard.call.as_str()) {
        ("t0", _) | (_, "POST /other") => (404, json!("no such path")),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = World::new(&[("resources.svc.url", &service.url)]);
    send(&world, message("t0", "k")).await;
    let other = json!({ "name": "other", "resource": "svc", "kind": "deliver",
        "do": "POST /other", "retry": { "first_ms": 20, "cap_ms": 50 } });
    send(&world, json!({ "gid": "t1", "branches": [delivery("k"), other] })).await;
    send(&world, message("t2", "k")).await;
    shows(&world, "t1", |shown| shown["stuck"] == true).await;
    let word = json!({ "branch": "other", "outcome": "committed", "reason": "by hand" });
    let told = world.post("/v1/transactions/t1:resolve", word).await;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    service.answer(well);
    for gid in ["t0", "t1", "t2"] {
        ends(&world, gid, "committed").await;
    }
    send(&world, message("t3", "k")).await;
    ends(&world, "t3", "committed").await;
    let heard = service.heard().into_iter().filter(|heard| heard.call == "POST /told");
    let mut gids: Vec<_> = heard.map(|heard| heard.gid).collect();
    let first = gids.iter().rposition(|gid| gid == "t0").unwrap();
    assert_eq!(gids.split_off(first), ["t0", "t1", "t2", "t3"]);
    assert!(gids.iter().all(|gid| gid == "t0"), "{gids:?}");
}

/// Begun in one order and decided in another: it is the decisions that count, also for a node that
/// comes back.
#[tokio::test]
async fn after_a_restart_the_order_is_that_of_the_decisions() {
    let service = Service::start(|heard| match heard.call.as_str() {
        "POST /slow" => (202, Json::Null),
        _ => (0, Json::Null),
    });
    let service = service.await;
    let dir = TempDir::new().unwrap();
    let first = Running::start(&dir, &service);
    let slow = |gid: &str| {
        let step = json!({ "name": "slow", "resource": "svc", "kind": "step", "do": "POST /slow" });
        json!({ "gid": gid, "wait": "none", "branches": [step, delivery("k")] })
    };
    first.post("/v1/transactions", slow("begun-first")).await;
    service.hears(1).await;
    for gid in ["early", "middle"] {
        let answer = first.post("/v1/transactions", message(gid, "k")).await;
        assert_eq!(answer["outcome"], "committed", "{answer}");
    }
    service.hears(2).await;
    service.answer(|heard| match heard.call.as_str() {
        "POST /slow" => (200, Json::Null),
        _ => (0, Json::Null),
    });
    first.reaches("begun-first", "committing").await;
    first.node.stop(Duration::ZERO).await;
    let before = service.heard().len();
    assert_eq!(service.heard().last().unwrap().call, "POST /slow", "the second waits");

    service.answer(well);
    let second = Running::start(&dir, &service);
    service.hears(before + 3).await;
    assert_eq!(gids(&service)[before..], ["early", "middle", "begun-first"]);
    second.reaches("begun-first", "committed").await;
    second.node.stop(Duration::ZERO).await;
}

/// A node that can be stopped.
struct Running {
    node: Node,
    router: Router,
}

impl Running {
    fn start(dir: &TempDir, service: &Service) -> Self {
        let data = dir.path().join("data").to_str().unwrap().to_owned();
        let flags =
            [("data_dir".to_owned(), data), ("resources.svc.url".into(), service.url.clone())];
        let config = Config::load(None, std::iter::empty(), &flags).unwrap();
        let for_resources = config.clone();
        let settings = NodeSettings {
            data_dir: config.data_dir.clone(),
            cluster: None,
            resources: Box::new(move |cluster| for_resources.resources(cluster)),
            paxos_acceptors: Vec::new(),
            recovery_interval: Duration::from_secs(60),
            open_max: 100,
            retention: Duration::from_secs(60),
            on_broken: Box::new(|error| panic!("the log failed: {error}")),
        };
        let node = Node::start(settings).unwrap();
        Self { router: api::router(node.clone(), &config), node }
    }

    async fn post(&self, path: &str, body: Json) -> Json {
        crate::requests::post(&self.router, path, body).await.body
    }

    async fn reaches(&self, gid: &str, state: &str) {
        let reached = async {
            while self
                .node
                .transaction(gid)
                .await
                .is_ok_and(|seen| serde_json::to_value(seen.state).unwrap() != state)
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::services::AMPLE, reached).await.expect("it comes there");
    }
}
