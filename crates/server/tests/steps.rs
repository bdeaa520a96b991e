//! Steps, open transactions and operators' words, through the API and over a service.

use handfast_server::shard::{ShardConfig, ShardServer};
use serde_json::{Value as Json, json};

use crate::{
    requests::{Answer, Lines, World},
    service::{Heard, Service},
    services::{ends, shows},
};

pub fn step(name: &str) -> Json {
    json!({ "name": name, "resource": "svc", "kind": "step",
        "do": { "call": format!("POST /{name}"), "body": {} }, "undo": format!("DELETE /{name}"),
        "retry": { "first_ms": 20 }, "undo_retry": { "first_ms": 20 } })
}

pub fn tell() -> Json {
    json!({ "name": "tell", "resource": "svc", "kind": "deliver",
        "message": { "type": "order.placed", "data": { "booking": "{{book.id}}" } } })
}

/// A service that books, and a node over it.
pub async fn over(
    answers: impl Fn(&Heard) -> (u16, Json) + Send + Sync + 'static,
) -> (World, Service) {
    let service = Service::start(answers).await;
    (World::new(&[("resources.svc.url", &service.url)]), service)
}

pub fn well(heard: &Heard) -> (u16, Json) {
    match heard.call.as_str() {
        "POST /book" => (200, json!({ "id": 7 })),
        _ => (200, Json::Null),
    }
}

pub fn state(answer: &Answer, branch: &str) -> String {
    let branches = answer.body["branches"].as_array();
    let found = branches.and_then(|all| all.iter().find(|one| one["name"] == branch));
    found.and_then(|one| one["state"].as_str()).unwrap_or_default().into()
}

#[tokio::test]
async fn the_answer_has_outputs_and_the_view_has_kinds_and_a_timeline() {
    let (world, service) = over(well).await;
    let pay = json!({ "name": "pay", "resource": "svc", "kind": "step",
        "do": "POST /pay/{{book.id}}/{{input.sum}}" });
    let body = json!({ "gid": "s1", "ack": "applied", "input": { "sum": 5 },
        "branches": [step("book"), pay, tell()] });
    let done = world.post("/v1/transactions", &body).await;
    assert_eq!((done.status.as_u16(), &done.body["state"]), (200, &json!("committed")));
    assert_eq!(done.body["branches"][0]["output"], json!({ "id": 7 }), "{}", done.body);
    assert_eq!(service.calls(), ["do POST /book", "do POST /pay/7/5", "do POST /"]);
    let sent = service.heard().pop().unwrap();
    assert_eq!(sent.content_type, "application/cloudevents+json");
    assert_eq!((&sent.body["id"], &sent.body["data"]), (&json!("s1/tell"), &json!({"booking": 7})));
    let shown = world.get("/v1/transactions/s1").await;
    let states = ["book", "pay", "tell"].map(|branch| state(&shown, branch));
    assert_eq!(states, ["done", "done", "finished"], "{}", shown.body);
    let pay = &shown.body["branches"][1];
    assert_eq!((&pay["kind"], &pay["after"]), (&json!("step"), &json!(["book"])));
    let timeline = shown.body["timeline"].as_array().unwrap();
    let recorded: Vec<_> = timeline.iter().filter(|entry| entry["what"] != "asked").collect();
    let whats: Vec<_> = recorded.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(whats[..4], ["begun", "done", "done", "decided to commit"], "{}", shown.body);
    assert_eq!(recorded[0]["detail"], "step book; step pay after book; deliver tell");
    assert_eq!(
        (&recorded[1]["branch"], &recorded[1]["detail"]),
        (&json!("book"), &json!("{\"id\":7}"))
    );
    let again = world.post("/v1/transactions", &body).await;
    assert_eq!((again.status.as_u16(), service.calls().len()), (200, 3), "it is run once");
}

#[tokio::test]
async fn a_refusal_comes_back_with_its_body_and_what_became_of_the_others() {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /pay" => (422, json!({ "why": "no money" })),
        _ => (200, Json::Null),
    })
    .await;
    let body =
        json!({ "gid": "s1", "branches": [step("book"), step("pay"), step("ship"), tell()] });
    let mut body = body;
    body["branches"][3]["message"]["data"] = Json::Null;
    let answer = world.post("/v1/transactions", body).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (409, "service_refused"));
    let reason = &answer.body["transaction"]["reason"];
    assert_eq!((&reason["branch"], &reason["body"]["why"]), (&json!("pay"), &json!("no money")));
    ends(&world, "s1", "aborted").await;
    let shown = world.get("/v1/transactions/s1").await;
    let states = ["book", "pay", "ship", "tell"].map(|branch| state(&shown, branch));
    assert_eq!(states, ["undone", "refused", "skipped", "skipped"], "{}", shown.body);
    assert_eq!(service.calls(), ["do POST /book", "do POST /pay", "undo DELETE /book"]);
}

#[tokio::test]
async fn branches_are_added_to_an_open_transaction_until_it_is_told() {
    let (world, service) = over(well).await;
    let begun = world.post("/v1/transactions", json!({ "gid": "o1", "open": true })).await;
    assert_eq!((begun.status.as_u16(), &begun.body["state"]), (202, &json!("held")));
    let path = "/v1/transactions/o1/branches";
    let added = world.post(path, step("book")).await;
    assert_eq!(added.status.as_u16(), 200, "{}", added.body);
    assert_eq!(added.body["branches"][0]["output"], json!({ "id": 7 }));
    // Sent again: the same branch; with other content: not taken.
    let again = world.post(path, step("book")).await;
    assert_eq!((again.status.as_u16(), service.calls().len()), (200, 1), "{}", again.body);
    let mut other = step("book");
    other["undo"] = json!("DELETE /other");
    let other = world.post(path, other).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "other_content"));
    assert_eq!(other.body["branch"], "book");
    assert!(other.body["detail"].as_str().unwrap().contains("branch's name"), "{}", other.body);
    let early = json!({ "name": "pay", "resource": "svc", "kind": "step", "after": [],
        "do": "POST /pay/{{book.id}}" });
    assert_eq!(world.post(path, early).await.code(), "used_too_early");
    let next = json!({ "name": "pay", "resource": "svc", "kind": "step",
        "do": "POST /pay/{{book.id}}" });
    assert_eq!(world.post(path, next).await.status.as_u16(), 200, "after all that are there");
    for _ in 0..2 {
        let taken = world.post(path, tell()).await;
        assert_eq!(taken.status.as_u16(), 200, "{}", taken.body);
        assert_eq!(state(&taken, "tell"), "waiting", "{}", taken.body);
    }
    assert_eq!(service.calls(), ["do POST /book", "do POST /pay/7"]);
    let told = world.post("/v1/transactions/o1:commit", "").await;
    assert_eq!((told.status.as_u16(), &told.body["outcome"]), (200, &json!("committed")));
    ends(&world, "o1", "committed").await;
    assert_eq!(service.calls()[2..], ["do POST /"]);
    let late = world.post(path, step("late")).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "wrong_state"), "{}", late.body);
    let nobody = world.post("/v1/transactions/nobody/branches", step("book")).await;
    assert_eq!(nobody.code(), "no_such_transaction");
}

/// What the branches are is read back from the log, and is what callers send again.
#[tokio::test]
async fn after_a_restart_too_the_same_branch_is_the_same_and_another_is_not() {
    let (world, service) = over(well).await;
    let open = json!({ "gid": "o1", "open": true });
    assert_eq!(world.post("/v1/transactions", &open).await.status.as_u16(), 202);
    let path = "/v1/transactions/o1/branches";
    let pay = json!({ "name": "pay", "resource": "svc", "kind": "step",
        "do": { "call": "POST /pay/{{book.id}}", "body": { "sum": 5 } } });
    let row = json!({ "name": "row", "resource": "bank",
        "sql": [["INSERT INTO paid VALUES ($1)", [{ "output": "book.id" }], { "rows": 1 }]] });
    let seat = json!({ "name": "seat", "resource": "svc", "try": "POST /seat",
        "confirm": "PUT /seat", "cancel": "DELETE /seat" });
    let branches = [step("book"), pay, row, seat, tell()];
    for branch in &branches {
        let added = world.post(path, branch).await;
        assert_eq!(added.status.as_u16(), 200, "{}", added.body);
    }
    let world = world.restart().await;
    for branch in &branches {
        let again = world.post(path, branch).await;
        assert_eq!(again.status.as_u16(), 200, "{}", again.body);
        assert_eq!(again.body["branches"].as_array().unwrap().len(), 5, "{}", again.body);
    }
    let changes = [
        (0, "undo", json!("DELETE /other")),
        (0, "retry", json!({ "first_ms": 30 })),
        (1, "do", json!({ "call": "POST /pay/{{book.id}}", "body": { "sum": 6 } })),
        (2, "sql", json!([["INSERT INTO paid VALUES ($1)", [7], { "rows": 1 }]])),
        (3, "cancel", json!("DELETE /other")),
        (4, "message", json!({ "type": "order.placed", "data": {} })),
    ];
    for (at, field, value) in changes {
        let mut other = branches[at].clone();
        other[field] = value;
        let refused = world.post(path, &other).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (422, "other_content"), "{other}");
    }
    let shown = world.get("/v1/transactions/o1").await;
    assert_eq!(shown.body["branches"].as_array().unwrap().len(), 5, "{}", shown.body);
    assert_eq!(service.calls(), ["do POST /book", "do POST /pay/7"], "once each");
}

#[tokio::test]
async fn nothing_that_prepares_is_added_to_one_that_asks_back() {
    let (world, service) = over(well).await;
    let body = json!({ "gid": "o1", "open": true,
        "ask": { "resource": "svc", "call": "GET /committed" } });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    let path = "/v1/transactions/o1/branches";
    let seat = json!({ "name": "seat", "resource": "svc", "try": "POST /seat",
        "confirm": "PUT /seat", "cancel": "DELETE /seat" });
    let database = json!({ "name": "seat", "resource": "bank", "sql": [["SELECT 1"]] });
    for branch in [seat, database] {
        let answer = world.post(path, branch).await;
        assert_eq!(answer.code(), "bad_ask", "{}", answer.body);
    }
    assert_eq!(world.post(path, step("book")).await.status.as_u16(), 200);
    assert_eq!(service.calls(), ["do POST /book"]);
}

#[tokio::test]
async fn an_open_transaction_that_is_aborted_is_undone_backwards() {
    let (world, service) = over(well).await;
    let body = json!({ "gid": "o1", "open": true, "branches": [step("book")] });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    world.post("/v1/transactions/o1/branches", step("pay")).await;
    let dry = world.post("/v1/transactions/o1:abort?dry_run=true", "").await;
    assert_eq!(dry.status.as_u16(), 200, "{}", dry.body);
    let foretold = json!({
        "records": ["decided to abort: no reason given (by anonymous); book done, pay done"],
        "effects": ["undo pay at svc: DELETE /pay"],
        "later": ["undo book at svc: DELETE /book"],
    });
    assert_eq!(dry.body, foretold, "{:#}", dry.body);
    assert_eq!(service.calls().len(), 2, "nothing has left");
    let told = world.post("/v1/transactions/o1:abort", json!({ "reason": "enough" })).await;
    assert_eq!((told.status.as_u16(), &told.body["outcome"]), (200, &json!("aborted")));
    ends(&world, "o1", "aborted").await;
    assert_eq!(service.calls()[2..], ["undo DELETE /pay", "undo DELETE /book"]);
}

/// A step whose service answers what makes no sense waits for an operator.
pub async fn stuck(gid: &str) -> (World, Service) {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /pay" => (400, json!("what?")),
        _ => (200, json!({ "id": 7 })),
    })
    .await;
    let body = json!({ "gid": gid, "wait": "none", "branches": [step("book"), step("pay")] });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    service.hears(2).await;
    shows(&world, gid, |shown| shown["stuck"] == true).await;
    let shown = world.get(&format!("/v1/transactions/{gid}")).await;
    assert_eq!((&shown.body["state"], state(&shown, "pay")), (&json!("running"), "stuck".into()));
    assert!(shown.body["branches"][1]["last_answer"].to_string().contains("400"));
    (world, service)
}

#[tokio::test]
async fn a_stuck_step_is_edited() {
    let (world, service) = stuck("s1").await;
    let path = "/v1/transactions/s1:edit";
    let edit = |branch: Json| json!({ "branch": branch, "reason": "moved" });
    let mut pay = step("pay");
    pay["do"] = json!("POST /v2/pay");
    let changed = |field: &str, value: Json| {
        let mut other = pay.clone();
        other[field] = value;
        edit(other)
    };
    for (body, code) in [
        (changed("resource", json!("bank")), "not_editable"),
        (changed("kind", json!("deliver")), "not_editable"),
        (changed("after", json!([])), "not_editable"),
        (changed("retry", json!({ "attempts": 9 })), "not_editable"),
        (changed("do", json!("POST /{{book.nothing}}")), "missing_output"),
        (changed("do", json!("POST /{{pay.id}}")), "used_too_early"),
        (changed("undo", json!("DELETE /{{nobody.id}}")), "unknown_name"),
        (changed("undo", Json::Null), "not_editable"),
        (changed("do", json!("POST")), "bad_call"),
        (json!({ "branch": pay, "reason": " " }), "bad_reason"),
        (edit(step("nobody")), "no_such_branch"),
    ] {
        let answer = world.post(path, &body).await;
        assert_eq!(answer.code(), code, "{body} got {}", answer.body);
    }
    let wrong = world.post(&format!("{path}?dry_run=maybe"), edit(pay.clone())).await;
    assert_eq!(wrong.code(), "bad_query");
    let dry = world.post(&format!("{path}?dry_run=true"), edit(pay.clone())).await;
    let foretold = json!({
        "records": ["pay edited: moved (by anonymous)"],
        "effects": ["do pay at svc: POST /v2/pay"],
        "later": ["the decision", "if that is to abort: undo pay at svc: DELETE /pay",
            "if that is to abort: undo book at svc: DELETE /book"],
    });
    assert_eq!(dry.body, foretold, "{:#}", dry.body);
    assert_eq!(service.calls().len(), 2, "nothing has left");
    let told = world.post(path, edit(pay)).await;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    ends(&world, "s1", "committed").await;
    assert_eq!(service.calls()[2..], ["do POST /v2/pay"]);
    let key = |at: usize| service.heard()[at].key.clone();
    assert_eq!(key(1), key(2), "it is the same step");
    let late = world.post(path, edit(step("pay"))).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "wrong_state"), "{}", late.body);
    assert_eq!(late.body["detail"], "not possible: nothing is left to edit");
}

#[tokio::test]
async fn an_edited_call_may_use_what_those_before_it_have_put_out() {
    let (world, service) = stuck("s1").await;
    let mut pay = step("pay");
    pay["do"] = json!({ "call": "POST /v2/{{book.id}}", "body": { "of": "{{book.id}}" } });
    pay["undo"] = json!("DELETE /{{book.id}}/{{pay.id}}");
    let edit = json!({ "branch": pay, "reason": "moved" });
    let dry = world.post("/v1/transactions/s1:edit?dry_run=true", &edit).await;
    assert_eq!(dry.body["effects"], json!(["do pay at svc: POST /v2/7"]), "{}", dry.body);
    assert_eq!(world.post("/v1/transactions/s1:edit", edit).await.status.as_u16(), 200);
    ends(&world, "s1", "committed").await;
    let sent = service.heard().pop().unwrap();
    assert_eq!((sent.call.as_str(), &sent.body), ("POST /v2/7", &json!({ "of": 7 })));
}

#[tokio::test]
async fn what_an_edit_carries_is_not_logged() {
    let (world, _service) = stuck("s1").await;
    // The line's place in the code must be known before somebody listens: seen first by another
    // test's thread while this one alone listens, it would stay silent.
    assert_eq!(world.post("/v1/transactions/s1:commit", "").await.code(), "wrong_state");
    let lines = Lines::begin();
    let mut pay = step("pay");
    pay["do"] = json!({ "call": "POST /v2/pay", "headers": { "x-key": "a-secret" },
        "body": { "card": "4111" } });
    let edit = json!({ "branch": pay, "reason": "it has moved" });
    let told = world.post("/v1/transactions/s1:edit", edit).await;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    let lines = lines.end();
    for word in ["\"edit\"", "\"pay\"", "it has moved"] {
        assert!(lines.contains(word), "{word} is not in {lines}");
    }
    for word in ["a-secret", "x-key", "4111", "/v2/pay"] {
        assert!(!lines.contains(word), "{word} is in {lines}");
    }
}

#[tokio::test]
async fn a_stuck_step_is_retried_or_declared() {
    let (world, service) = stuck("s1").await;
    service.answer(well);
    let nobody = world.post("/v1/transactions/s1:retry", json!({ "branch": "nobody" })).await;
    assert_eq!(nobody.code(), "no_such_branch");
    let told = world.post("/v1/transactions/s1:retry", json!({ "branch": "pay" })).await;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    ends(&world, "s1", "committed").await;

    let (world, service) = stuck("s2").await;
    let word = json!({ "branch": "pay", "outcome": "aborted", "reason": "not there" });
    let told = world.post("/v1/transactions/s2:resolve", &word).await;
    assert_eq!(told.status.as_u16(), 200, "{}", told.body);
    ends(&world, "s2", "aborted").await;
    assert_eq!(service.calls()[2..], ["undo DELETE /book"]);
    assert_eq!(world.get("/v1/transactions/s2").await.body["reason"]["code"], "declared_undone");
}

/// What an operator declares done has put out nothing, so what needs that is never called.
#[tokio::test]
async fn a_dry_run_goes_on_where_a_call_names_what_is_missing() {
    let (world, service) = over(|heard| match heard.call.as_str() {
        "POST /book" => (400, json!("what?")),
        _ => (200, Json::Null),
    })
    .await;
    let mut next = step("next");
    next["do"] = json!("PUT /nx/{{book.id}}");
    next["after"] = json!(["book"]);
    let body = json!({ "gid": "s1", "wait": "none", "branches": [step("book"), next] });
    assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    shows(&world, "s1", |shown| shown["stuck"] == true).await;
    let word = json!({ "branch": "book", "outcome": "committed", "reason": "seen" });
    let dry = world.post("/v1/transactions/s1:resolve?dry_run=true", &word).await.body;
    let foretold = json!({
        "records": ["book declared done: seen (by anonymous)",
            "decided to abort: `{{book.id}}` is missing; book done, next not called"],
        "effects": ["do next at svc cannot be called: `{{book.id}}` is missing",
            "undo book at svc: DELETE /book"],
    });
    assert_eq!(dry, foretold, "no timer, and nothing that stays inside: {dry:#}");
    assert_eq!(service.calls().len(), 1, "nothing has left");
    world.post("/v1/transactions/s1:resolve", word).await;
    ends(&world, "s1", "aborted").await;
    assert_eq!(service.calls()[1..], ["undo DELETE /book"], "as it was told");
}

#[tokio::test]
async fn one_word_is_said_to_many() {
    let (world, service) = over(well).await;
    for gid in ["a1", "a2", "b1"] {
        let body = json!({ "gid": gid, "open": true, "branches": [step("book")] });
        assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    }
    let word = |filter: Json, dry_run: bool| -> Json {
        json!({ "filter": filter, "reason": "r", "dry_run": dry_run })
    };
    let bad = world.post("/v1/transactions:abort", word(json!({ "state": "odd" }), false)).await;
    assert_eq!((bad.status.as_u16(), bad.code()), (400, "bad_query"));
    let bad = world.post("/v1/transactions:abort", word(json!({ "limit": 501 }), false)).await;
    assert_eq!(bad.code(), "bad_query");
    let held = json!({ "state": "held", "prefix": "a" });
    let dry = world.post("/v1/transactions:abort", word(held.clone(), true)).await;
    assert_eq!(dry.body["taken"].as_array().unwrap().len(), 2, "{}", dry.body);
    assert_eq!(service.calls().len(), 3, "nothing has left");
    let done = world.post("/v1/transactions:abort", word(held, false)).await;
    assert_eq!(done.body["taken"].as_array().unwrap().len(), 2, "{}", done.body);
    ends(&world, "a1", "aborted").await;
    ends(&world, "a2", "aborted").await;
    // Those that are aborted are not told again, and the count of a dry run is what follows.
    let all = json!({ "prefix": "a", "limit": 500 });
    for dry_run in [true, false] {
        let done = world.post("/v1/transactions:abort", word(all.clone(), dry_run)).await.body;
        let already = done["already"].as_array().unwrap().len();
        assert_eq!((already, &done["taken"], done.get("refused")), (2, &json!([]), None), "{done}");
    }
    for nothing in [json!({}), json!({ "limit": 500 }), json!({ "prefix": "" })] {
        for verb in ["commit", "abort", "retry"] {
            let path = format!("/v1/transactions:{verb}");
            let bad = world.post(&path, word(nothing.clone(), false)).await;
            assert_eq!((bad.status.as_u16(), bad.code()), (400, "no_filter"), "{}", bad.body);
        }
    }
    let open = json!({ "prefix": "b", "limit": 500 });
    let done = world.post("/v1/transactions:commit", word(open, false)).await;
    assert_eq!(done.body["taken"], json!(["b1"]), "{}", done.body);
    let done = world.post("/v1/transactions:commit", word(all, false)).await;
    assert_eq!(done.body["refused"]["a1"], "it is aborted", "{}", done.body);
    let running = world.get("/v1/transactions?state=running").await;
    assert_eq!((running.status.as_u16(), &running.body["transactions"]), (200, &json!([])));
}

/// Each has one line, whether memory or the log knows it, and the state that it shows by itself.
#[tokio::test]
async fn a_running_transaction_is_listed_once() {
    let (world, service) = over(|_| (503, json!("later"))).await;
    world.post("/v1/transactions", json!({ "gid": "o1", "open": true })).await;
    let body = json!({ "gid": "o2", "wait": "none", "branches": [step("book")] });
    world.post("/v1/transactions", body).await;
    service.hears(1).await;
    for (state, shown) in [
        ("open", &[("o2", "running"), ("o1", "held")][..]),
        ("running", &[("o2", "running")]),
        ("held", &[("o1", "held")]),
    ] {
        let listed = world.get(&format!("/v1/transactions?state={state}")).await;
        let lines = listed.body["transactions"].as_array().unwrap().iter();
        let lines: Vec<_> = lines
            .map(|line| (line["gid"].as_str().unwrap(), line["state"].as_str().unwrap()))
            .collect();
        assert_eq!(lines, shown, "{state}");
    }
}

/// The examples of docs/steps.md: each is answered with the status that it says.
#[tokio::test]
async fn the_examples_of_the_documentation_run() {
    let page = include_str!("../../../docs/steps.md");
    let travel = Service::start(|heard| match heard.call.as_str() {
        "POST /sold-out" => (409, json!({ "why": "sold out" })),
        _ => (200, json!({ "id": 7 })),
    })
    .await;
    let dir = tempfile::TempDir::new().unwrap();
    let bank = ShardConfig::new(dir.path().join("data"), "127.0.0.1:0".parse().unwrap());
    let bank = ShardServer::open(bank).await.unwrap();
    let url = format!("http://{}", bank.address());
    tokio::spawn(bank.serve(std::future::pending()));
    let world = World::new(&[("resources.travel.url", &travel.url), ("resources.bank.url", &url)]);
    let mut count = 0;
    for example in page.split("```http\nPOST ").skip(1) {
        let example = example.split("```").next().unwrap();
        let (line, body) = example.split_once('\n').unwrap();
        let (path, status) = line.split_once(" → ").unwrap();
        let answer = world.post(path, body.trim()).await;
        assert_eq!(answer.status.as_u16().to_string(), status, "{example}\n{}", answer.body);
        count += 1;
    }
    assert!(count > 7, "only {count}");
    ends(&world, "trip-1", "committed").await;
    ends(&world, "order-7", "aborted").await;
    ends(&world, "trip-2", "aborted").await;
}
