//! What an operator sees of a transaction that waits, and when a word must wait itself.

use serde_json::{Value as Json, json};

use crate::{
    requests::World,
    service::Service,
    services::{AMPLE, ends, shows},
    steps::{over, state, step, stuck, tell, well},
};

#[tokio::test]
async fn a_step_whose_call_is_under_way_is_neither_edited_nor_resolved() {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /pay" => (0, Json::Null),
        _ => (200, json!({ "id": 7 })),
    })
    .await;
    let body = json!({ "gid": "s1", "wait": "none", "branches": [step("book"), step("pay")] });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    service.hears(2).await;
    let edit = json!({ "branch": step("pay"), "reason": "r" });
    let resolve = json!({ "branch": "pay", "outcome": "aborted", "reason": "r" });
    for (verb, body) in [("edit", &edit), ("resolve", &resolve), ("edit?dry_run=true", &edit)] {
        let answer = world.post(&format!("/v1/transactions/s1:{verb}"), body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "call_under_way"), "{verb}");
        assert_eq!(answer.body["retryable"], true, "{}", answer.body);
    }
}

/// What `view` finds in the transaction, once it finds something.
async fn sees<T>(world: &World, gid: &str, view: impl Fn(&Json) -> Option<T>) -> T {
    let seen = async {
        loop {
            let shown = world.get(&format!("/v1/transactions/{gid}")).await;
            if let Some(found) = view(&shown.body) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AMPLE, seen).await.expect("it is seen")
}

fn now_ms() -> u64 {
    u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

#[tokio::test]
async fn who_is_asked_back_and_what_it_answers_is_shown() {
    let (world, service) = over(|_| (404, json!("no such path"))).await;
    let ask = json!({ "resource": "svc", "call": "GET /mark" });
    let body = |gid: &str, deadline_ms: u64| {
        json!({
            "gid": gid, "open": true, "ask": ask, "deadline_ms": deadline_ms, "wait": "none"
        })
    };
    world.post("/v1/transactions", body("later", 60_000)).await;
    let due_ms = sees(&world, "later", |shown| shown["deadline_at_ms"].as_u64()).await;
    assert!((now_ms()..=now_ms() + 60_000).contains(&due_ms), "{due_ms}");
    world.post("/v1/transactions", body("o1", 1)).await;
    let asking = sees(&world, "o1", |shown| {
        let asking = shown.get("asking").filter(|asking| !asking["last_answer"].is_null())?;
        let is_waiting = !asking["next_attempt_at_ms"].is_null() && shown["stuck"] == true;
        is_waiting.then(|| asking.clone())
    });
    let asking = asking.await;
    assert_eq!(asking["resource"], "svc");
    assert!(asking["last_answer"].as_str().unwrap().contains("404"), "{asking}");
    let at = lists_stuck(&world).await;
    assert_eq!(at, json!([{ "resource": "svc", "last_answer": asking["last_answer"] }]));
    service.answer(|_| (200, Json::Null));
    world.post("/v1/transactions/o1:retry", "{}").await;
    ends(&world, "o1", "committed").await;
    let shown = world.get("/v1/transactions/o1").await;
    assert!(shown.body.get("asking").is_none() && shown.body.get("deadline_at_ms").is_none());
}

#[tokio::test]
async fn a_step_after_a_branch_that_prepares_is_taken_and_runs_after_the_word() {
    let (world, service) = over(well).await;
    world.post("/v1/transactions", json!({ "gid": "o1", "open": true })).await;
    let path = "/v1/transactions/o1/branches";
    let hold = json!({ "name": "hold", "resource": "svc", "try": "POST /hold",
        "confirm": "PUT /hold", "cancel": "DELETE /hold" });
    assert_eq!(world.post(path, hold).await.status.as_u16(), 200);
    let mut after = step("book");
    after["after"] = json!(["hold"]);
    for _ in 0..2 {
        let taken = world.post(path, &after).await;
        assert_eq!((taken.status.as_u16(), state(&taken, "book")), (200, "waiting".into()));
    }
    assert_eq!(service.calls().len(), 0);
    world.post("/v1/transactions/o1:commit", "").await;
    ends(&world, "o1", "committed").await;
    assert_eq!(service.calls(), ["try POST /hold", "do POST /book", "confirm PUT /hold"]);
}

#[tokio::test]
async fn a_delivery_in_a_lane_says_for_whom_it_waits() {
    let (world, service) = over(|_| (0, Json::Null)).await;
    let mut delivery = tell();
    delivery["message"] = json!({ "type": "t" });
    delivery["order_key"] = json!("k");
    for gid in ["first", "middle", "last"] {
        let body = json!({ "gid": gid, "branches": [delivery] });
        assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 200);
    }
    service.hears(1).await;
    for gid in ["middle", "last"] {
        let said = sees(&world, gid, |shown| {
            shown["branches"][0]["waits_for"].as_str().map(str::to_owned)
        });
        assert_eq!(said.await, "first (order key \"k\")");
    }
    let first = world.get("/v1/transactions/first").await;
    assert!(first.body["branches"][0].get("waits_for").is_none(), "{}", first.body);
}

/// What only memory knows has changed when it began, and not when it is looked at.
#[tokio::test]
async fn a_list_says_when_its_lines_changed() {
    let silent = Service::start(|_| (0, Json::Null)).await;
    let url = silent.url.trim_start_matches("service+").to_owned();
    let world = World::new(&[("resources.svc.url", &silent.url), ("resources.shard.url", &url)]);
    let before_ms = now_ms();
    let keys = json!([{ "op": "add", "key": "k", "by": 1 }]);
    let branch = json!({ "name": "b", "resource": "shard", "keys": keys });
    let body = json!({ "gid": "p1", "wait": "none", "branches": [branch] });
    let begun = world.post("/v1/transactions", body).await;
    assert_eq!(begun.status.as_u16(), 202, "{}", begun.body);
    world.post("/v1/transactions", json!({ "gid": "o1", "open": true })).await;
    let after_ms = now_ms();
    // Until a later time than that of the beginning can be told from it.
    while now_ms() < after_ms + 20 {
        tokio::task::yield_now().await;
    }
    for (state, gid) in [("preparing", "p1"), ("held", "o1")] {
        let listed = world.get(&format!("/v1/transactions?state={state}")).await;
        let line = &listed.body["transactions"][0];
        assert_eq!(line["gid"], gid, "{}", listed.body);
        let changed_ms = line["changed_at_ms"].as_u64().unwrap();
        // Two clocks are read to the millisecond.
        assert!((before_ms - 2..=after_ms + 2).contains(&changed_ms), "{}", listed.body);
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_leads_nowhere() {
    let (world, _service) = over(well).await;
    for path in ["/v1/transactions/%ff", "/v1/sagas/%ff", "/v1/inquiries/%ff"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_such_route"), "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let answer = world.post("/v1/transactions/%ff:commit", "").await;
    assert_eq!(answer.code(), "no_such_route");
}

/// What the only stuck transaction is stuck at, once it is listed.
async fn lists_stuck(world: &World) -> Json {
    let mut page = Json::Null;
    let listed = async {
        while page["transactions"].as_array().is_none_or(Vec::is_empty) {
            page = world.get("/v1/transactions?state=stuck").await.body;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AMPLE, listed).await.expect("it is listed");
    page["transactions"][0]["stuck_at"].clone()
}

#[tokio::test]
async fn a_list_says_which_branch_is_stuck_and_what_it_was_answered_last() {
    let (world, service) = stuck("s1").await;
    let at = lists_stuck(&world).await;
    let answer = at[0]["last_answer"].as_str().unwrap();
    assert!(answer.contains("400"), "{at}");
    assert_eq!(at, json!([{ "branch": "pay", "resource": "svc", "last_answer": answer }]));
    service.answer(|_| (404, Json::Null));
    world.post("/v1/transactions/s1:retry", "").await;
    let is_new = |shown: &Json| shown["branches"][1]["last_answer"].to_string().contains("404");
    shows(&world, "s1", is_new).await;
    let at = lists_stuck(&world).await;
    assert!(at[0]["last_answer"].as_str().unwrap().contains("404"), "{at}");
    service.answer(|_| (200, Json::Null));
    world.post("/v1/transactions/s1:retry", "").await;
    ends(&world, "s1", "committed").await;
    let all = world.get("/v1/transactions").await.body;
    assert!(all["transactions"][0].get("stuck_at").is_none(), "{all}");
}
