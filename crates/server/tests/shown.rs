//! What is shown of a transaction never claims what did not happen.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value as Json, json};

use crate::{
    requests::{World, nowhere},
    service::Service,
    services::{ends, shows},
    steps::{over, step, tell, well},
};

fn branch<'s>(shown: &'s Json, name: &str) -> &'s Json {
    let branches = shown["branches"].as_array().unwrap();
    branches.iter().find(|one| one["name"] == name).unwrap()
}

/// The detail of a line of the timeline, with how often and what was called; empty if there is no
/// such line.
fn line(shown: &Json, what: &str, branch: &str) -> String {
    let branch = if branch.is_empty() { Json::Null } else { branch.into() };
    let timeline = shown["timeline"].as_array().unwrap();
    let found = timeline.iter().find(|line| line["what"] == what && line["branch"] == branch);
    let text = |line: &Json| match line["call"].as_str() {
        Some(call) => format!("{call}: {}", line["detail"].as_str().unwrap_or_default()),
        None => line["detail"].as_str().unwrap_or_default().to_owned(),
    };
    found.map(text).unwrap_or_default()
}

/// `svc` is as it answers, `away` is nowhere.
async fn half_away() -> (World, Service) {
    let service = Service::start(well).await;
    let away = format!("service+http://{}", nowhere());
    let resources = [("resources.svc.url", service.url.as_str()), ("resources.away.url", &away)];
    (World::new(&resources), service)
}

#[tokio::test]
async fn what_never_arrived_has_not_said_no() {
    let (world, _service) = half_away().await;
    let mut gone = step("gone");
    gone["resource"] = "away".into();
    for (gid, within_ms, deadline_ms) in [("patience", 100, 60_000), ("deadline", 60_000, 300)] {
        gone["retry"] = json!({ "first_ms": 20, "within_ms": within_ms });
        let branches = json!([step("book"), gone, step("ship"), tell()]);
        let body = json!({ "gid": gid, "deadline_ms": deadline_ms, "branches": branches });
        assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 409);
        ends(&world, gid, "aborted").await;
        let shown = world.get(&format!("/v1/transactions/{gid}")).await.body;
        for (name, state) in [("book", "undone"), ("gone", "not-done"), ("ship", "skipped")] {
            assert_eq!(branch(&shown, name)["state"], state, "{gid}: {shown:#}");
        }
        assert!(branch(&shown, "gone")["attempts"].as_u64().unwrap() > 1, "{shown:#}");
        assert_eq!(line(&shown, "not reached", "gone"), "do: ", "{shown:#}");
        let decided = line(&shown, "decided to abort", "");
        let fates = "; book done, gone not reached, ship not begun";
        assert!(decided.ends_with(fates), "{decided}");
        if gid == "deadline" {
            let message = shown["reason"]["message"].as_str().unwrap();
            let waited = "it was not decided in time; it waited for gone at away: ";
            assert!(message.starts_with(waited) && message.len() > waited.len(), "{message}");
        }
    }
    let begun = line(&world.get("/v1/transactions/patience").await.body, "begun", "");
    let planned = "step book; step gone after book; step ship after book, gone; deliver tell";
    assert!(begun.starts_with(planned), "{begun}");
}

#[tokio::test]
async fn a_reservation_that_was_never_reached_has_not_voted() {
    let (world, _service) = half_away().await;
    let seat = json!({ "name": "seat", "resource": "away", "try": "POST /hold",
        "confirm": "POST /confirm", "cancel": "DELETE /hold",
        "retry": { "first_ms": 20, "within_ms": 100 } });
    let body = json!({ "gid": "r1", "branches": [seat] });
    assert_eq!(world.post("/v1/transactions", body).await.code(), "vote_timeout");
    let shown = world.get("/v1/transactions/r1").await.body;
    assert_eq!(branch(&shown, "seat")["state"], "not-done", "{shown:#}");
    assert_eq!(line(&shown, "not reached", "seat"), "try: ", "{shown:#}");
    assert!(!shown.to_string().contains("voted"), "{shown:#}");
}

/// The second wait would have been over when it is too late.
#[tokio::test]
async fn a_reservation_is_tried_once_more_before_its_time_is_over() {
    let (world, _service) = half_away().await;
    let seat = json!({ "name": "seat", "resource": "away", "try": "POST /hold",
        "confirm": "POST /confirm", "cancel": "DELETE /hold", "retry": { "first_ms": 800 } });
    let body = json!({ "gid": "r1", "timeout_ms": 2_000, "branches": [seat] });
    assert_eq!(world.post("/v1/transactions", body).await.code(), "vote_timeout");
    let shown = world.get("/v1/transactions/r1").await.body;
    assert_eq!(branch(&shown, "seat")["attempts"], 3, "{shown:#}");
}

/// `slow` begins when half of the time is over, so its call is under way when all of it is.
#[tokio::test]
async fn a_vote_timeout_names_whom_it_waited_for() {
    let tries = AtomicUsize::new(0);
    let (world, _service) = over(move |heard| match heard.call.as_str() {
        "POST /quick" if tries.fetch_add(1, Ordering::SeqCst) == 0 => (500, Json::Null),
        "POST /slow" => (0, Json::Null),
        _ => (200, Json::Null),
    })
    .await;
    let hold = |name: &str, after: Json| {
        json!({ "name": name, "resource": "svc", "try": format!("POST /{name}"), "after": after,
            "confirm": "POST /confirm", "cancel": "DELETE /hold", "retry": { "first_ms": 400 } })
    };
    let branches = json!([hold("quick", json!([])), hold("slow", json!(["quick"]))]);
    let body = json!({ "gid": "v1", "timeout_ms": 800, "branches": branches });
    assert_eq!(world.post("/v1/transactions", body).await.code(), "vote_timeout");
    let reason = &world.get("/v1/transactions/v1").await.body["reason"];
    assert_eq!(reason["branch"], "slow", "{reason}");
    let waited = "not all voted in time; it waited for slow at svc: no answer yet";
    assert_eq!(reason["message"], waited, "{reason}");
}

#[tokio::test]
async fn a_call_that_could_not_be_made_was_not_answered() {
    let (world, service) = over(|_| (200, Json::Null)).await;
    let mut next = step("next");
    next["do"] = json!("PUT /next/{{book.id}}");
    let body = json!({ "gid": "s1", "branches": [step("book"), next] });
    assert_eq!(world.post("/v1/transactions", body).await.code(), "missing_output");
    ends(&world, "s1", "aborted").await;
    let shown = world.get("/v1/transactions/s1").await.body;
    assert_eq!(branch(&shown, "next")["state"], "not-done", "{shown:#}");
    assert_eq!(branch(&shown, "next")["attempts"], 0, "{shown:#}");
    let called = shown["timeline"].as_array().unwrap().iter();
    assert!(called.filter(|line| line["branch"] == "next").all(|line| line["call"].is_null()));
    let decided = line(&shown, "decided to abort", "");
    assert!(decided.ends_with("; book done, next not called"), "{decided}");
    assert_eq!(service.calls(), ["do POST /book", "undo DELETE /book"]);
}

#[tokio::test]
async fn what_an_operator_declared_is_told_as_that() {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /pay" => (400, json!("what?")),
        _ => well(heard),
    })
    .await;
    for (gid, outcome) in [("undone", "aborted"), ("done", "committed")] {
        let branches = json!([step("book"), step("pay"), step("ship"), tell()]);
        let body = json!({ "gid": gid, "wait": "none", "branches": branches });
        world.post("/v1/transactions", body).await;
        shows(&world, gid, |shown| shown["stuck"] == true).await;
        let word = json!({ "branch": "pay", "outcome": outcome, "reason": "I looked" });
        let told = world.post(&format!("/v1/transactions/{gid}:resolve"), word).await;
        assert_eq!(told.status.as_u16(), 200, "{}", told.body);
        ends(&world, gid, outcome).await;
        let shown = world.get(&format!("/v1/transactions/{gid}")).await.body;
        let declared = line(&shown, &format!("declared {gid}"), "pay");
        assert!(declared.starts_with("I looked (by "), "{shown:#}");
        assert!(!shown["timeline"].to_string().contains("voted"), "{shown:#}");
    }
    let shown = world.get("/v1/transactions/undone").await.body;
    let decided = line(&shown, "decided to abort", "");
    assert!(decided.ends_with("; book done, pay not done, ship not begun"), "{decided}");
    assert_eq!(branch(&shown, "pay")["state"], "not-done", "{shown:#}");

    // After the decision, too.
    service.answer(|heard| match heard.call.as_str() {
        "POST /pay" => (409, json!({ "why": "no" })),
        "DELETE /book" => (400, json!("what?")),
        _ => well(heard),
    });
    let body = json!({ "gid": "late", "branches": [step("book"), step("pay")] });
    assert_eq!(world.post("/v1/transactions", body).await.code(), "service_refused");
    let shown = shows(&world, "late", |shown| shown["stuck"] == true).await;
    assert_eq!(branch(&shown, "pay")["state"], "refused", "{shown:#}");
    let word = json!({ "branch": "book", "outcome": "aborted", "reason": "I undid it" });
    world.post("/v1/transactions/late:resolve", word).await;
    let shown = world.get("/v1/transactions/late").await.body;
    assert!(line(&shown, "declared undone", "book").starts_with("I undid it (by "), "{shown:#}");
}

#[tokio::test]
async fn all_that_a_service_said_when_it_refused_is_handed_over() {
    let long = json!({ "why": "x".repeat(5_000), "items": [1, 2] });
    for (at, said) in
        [long.clone(), json!("sold out"), json!(["x".repeat(65_525)])].iter().enumerate()
    {
        let answer = said.clone();
        let (world, _service) = over(move |_| (422, answer.clone())).await;
        let body = json!({ "gid": "s1", "branches": [step("book")] });
        let refused = world.post("/v1/transactions", body).await;
        assert_eq!(refused.code(), "service_refused");
        for shown in
            [refused.body["transaction"].clone(), world.get("/v1/transactions/s1").await.body]
        {
            assert_eq!(shown["reason"]["body"], *said, "{at}");
            let message = shown["reason"]["message"].as_str().unwrap();
            assert!(message.len() <= 1024, "{at}: {}", message.len());
            assert!(at != 1 || message == "sold out", "{message}");
        }
        assert!(refused.body["detail"].as_str().unwrap().len() <= 1024);
        let shown = world.get("/v1/transactions/s1").await.body;
        assert!(shown["timeline"].to_string().len() < 5_000, "a timeline is short");
        let listed = world.get("/v1/transactions").await.body;
        assert!(listed.to_string().len() < 1_000, "a list is short");
    }
}

#[tokio::test]
async fn a_word_is_answered_with_what_came_of_it() {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /pay" => (400, json!("what?")),
        _ => well(heard),
    })
    .await;
    for gid in ["s1", "s2"] {
        let body = json!({ "gid": gid, "wait": "none", "branches": [step("book"), step("pay")] });
        world.post("/v1/transactions", body).await;
        let shown = shows(&world, gid, |shown| {
            shown["stuck"] == true && branch(shown, "pay")["next_attempt_at_ms"].is_u64()
        });
        let shown = shown.await;
        assert_eq!(branch(&shown, "pay")["state"], "stuck");
        assert!(branch(&shown, "pay")["last_answer"].to_string().contains("400"));
    }
    service.answer(|_| (0, Json::Null));
    for (gid, verb) in [("s1", "retry"), ("s2", "edit")] {
        let word = match verb {
            "retry" => json!({ "branch": "pay" }),
            _ => json!({ "branch": step("pay"), "reason": "mended" }),
        };
        let told = world.post(&format!("/v1/transactions/{gid}:{verb}"), word).await;
        assert_eq!(told.status.as_u16(), 200, "{}", told.body);
        let pay = branch(&told.body, "pay");
        assert_eq!((&told.body["stuck"], &pay["state"]), (&json!(false), &json!("working")));
        assert!(pay.get("next_attempt_at_ms").is_none(), "{pay:#}");
        assert!(pay.get("last_answer").is_none(), "{pay:#}");
    }
}

#[tokio::test]
async fn what_was_committed_for_want_of_a_word_says_so() {
    let (world, _service) = over(|_| (200, Json::Null)).await;
    let mut delivery = tell();
    delivery["message"] = json!({ "type": "t" });
    let ask = json!({ "resource": "svc", "call": "GET /mark" });
    for (gid, deadline_ms) in [("asked", 1), ("told", 60_000)] {
        let body = json!({ "gid": gid, "open": true, "ask": ask, "deadline_ms": deadline_ms,
            "branches": [delivery] });
        world.post("/v1/transactions", body).await;
    }
    world.post("/v1/transactions/told:commit", "").await;
    for (gid, was_asked) in [("asked", true), ("told", false)] {
        ends(&world, gid, "committed").await;
        let shown = world.get(&format!("/v1/transactions/{gid}")).await.body;
        assert_eq!(!line(&shown, "asked back", "").is_empty(), was_asked, "{shown:#}");
    }
}

#[tokio::test]
async fn an_undo_waits_for_its_do_that_is_under_way_and_says_so() {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /slow" => (0, Json::Null),
        "POST /pay" => (409, Json::Null),
        _ => (200, Json::Null),
    })
    .await;
    let (mut slow, mut pay) = (step("slow"), step("pay"));
    (slow["after"], pay["after"]) = (json!([]), json!([]));
    let body = json!({ "gid": "s1", "branches": [slow, pay] });
    assert_eq!(world.post("/v1/transactions", body).await.code(), "service_refused");
    service.hears(2).await;
    let shown = world.get("/v1/transactions/s1").await.body;
    assert_eq!(branch(&shown, "slow")["waits_for"], "its do, which is under way", "{shown:#}");
    assert!(shown["reason"].get("body").is_none(), "nothing was said: {shown:#}");
}

/// As the documents say; what services put out keeps all digits.
#[tokio::test]
async fn numbers_of_requests_are_whole_ones_of_64_bits_or_floats() {
    let (world, service) = over(|_| (200, Json::Null)).await;
    let names = ["whole", "least", "price", "big", "text"];
    let path: String = names.iter().map(|name| format!("/{{{{input.{name}}}}}")).collect();
    let body = json!({ "gid": "s1", "branches": [{ "name": "a", "resource": "svc",
        "kind": "step", "do": format!("PUT {path}") }] });
    let input = r#""input": { "whole": 18446744073709551615, "least": -9223372036854775808,
        "price": 1.10, "big": 12345678901234567890123.50, "text": "12345678901234567890123.50" }"#;
    let body = body.to_string().replacen('{', &format!("{{ {input}, "), 1);
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 200);
    let sent = "do PUT /18446744073709551615/-9223372036854775808/1.1/1.2345678901234568e%2B22\
                /12345678901234567890123.50";
    assert_eq!(service.calls(), [sent]);
}

#[tokio::test]
async fn a_dropped_message_says_who_was_asked_what() {
    let (world, _service) = over(|_| (409, Json::Null)).await;
    let ask = json!({ "resource": "svc", "call": "GET /mark" });
    let mut delivery = tell();
    delivery["message"] = json!({ "type": "t" });
    let body = json!({ "gid": "m1", "open": true, "ask": ask, "deadline_ms": 1,
        "branches": [delivery] });
    world.post("/v1/transactions", body).await;
    ends(&world, "m1", "aborted").await;
    let reason = &world.get("/v1/transactions/m1").await.body["reason"];
    assert_eq!(reason["code"], "not_submitted", "{reason}");
    let message = "svc was asked `GET /mark` whether its caller's local transaction committed, and \
                   it never will: it answered 409 Conflict";
    assert_eq!(reason["message"], message);
}

/// What is missing is nobody's answer.
#[tokio::test]
async fn an_undo_that_cannot_be_called_says_so() {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /pay" => (409, Json::Null),
        _ => (200, Json::Null),
    })
    .await;
    let mut book = step("book");
    book["undo"] = json!("DELETE /book/{{book.id}}");
    let body = json!({ "gid": "s1", "branches": [book, step("pay")] });
    assert_eq!(world.post("/v1/transactions", body).await.code(), "service_refused");
    let shown = shows(&world, "s1", |shown| shown["stuck"] == true).await;
    let why = "it could not be called: `{{book.id}}` is missing";
    assert_eq!(branch(&shown, "book")["last_answer"], why, "{shown:#}");
    assert_eq!(service.calls(), ["do POST /book", "do POST /pay"]);
}
