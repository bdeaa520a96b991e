//! Steps, reservations and messages at a real service over a real socket.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, http::Request};
use handfast_core::machine::Summary;
use handfast_log::{Batch, Change, Log as _, Sqlite, SqliteOptions};
use handfast_server::driver::now_ms;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::{
    requests::{World, nowhere},
    service::{Heard, Service},
};

pub const AMPLE: Duration = Duration::from_secs(20);

fn well(_: &Heard) -> (u16, Json) {
    (200, Json::Null)
}

/// A step that can be undone; tried again after 20 ms.
fn step(name: &str, resource: &str) -> Json {
    json!({ "name": name, "resource": resource, "kind": "step",
        "do": format!("POST /{name}"), "undo": format!("DELETE /{name}"),
        "retry": { "first_ms": 20 }, "undo_retry": { "first_ms": 20 } })
}

fn saga(gid: &str, branches: Vec<Json>) -> Json {
    json!({ "gid": gid, "ack": "applied", "branches": branches })
}

async fn world(service: &Service) -> World {
    World::new(&[("resources.svc.url", &service.url)])
}

#[tokio::test]
async fn steps_run_in_order_and_what_one_puts_out_is_used_by_the_next() {
    let service = Service::start(|heard| match heard.call.as_str() {
        "POST /book" => (201, json!({ "id": "a/b", "price": 12.50 })),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let mut pay = step("pay", "svc");
    pay["do"] = json!({ "call": "POST /pay/{{book.id}}", "body": { "sum": "{{book.price}}" } });
    let done = world.post("/v1/transactions", saga("s1", vec![step("book", "svc"), pay])).await;
    assert_eq!(done.status.as_u16(), 200, "{}", done.body);
    assert_eq!(done.body["outcome"], "committed", "{}", done.body);
    assert_eq!(service.calls(), ["do POST /book", "do POST /pay/a%2Fb"]);
    let heard = service.heard();
    assert_eq!(heard[1].body, json!({ "sum": 12.50 }));
    assert_eq!((heard[0].gid.as_str(), heard[0].attempt.as_str()), ("s1", "1"));
    assert!(heard[0].branch.starts_with("hf1_"), "{heard:?}");
    assert_eq!(heard[0].key, format!("{}/do", heard[0].branch));
}

#[tokio::test]
async fn a_refusal_undoes_what_was_done_before_it() {
    let service = Service::start(|heard| match heard.call.as_str() {
        "POST /pay" => (409, json!("no money")),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let branches = vec![step("book", "svc"), step("pay", "svc"), step("ship", "svc")];
    let done = world.post("/v1/transactions", saga("s1", branches)).await;
    assert_eq!((done.status.as_u16(), done.code()), (409, "service_refused"), "{}", done.body);
    service.hears(3).await;
    assert_eq!(service.calls(), ["do POST /book", "do POST /pay", "undo DELETE /book"]);
    let heard = service.heard();
    assert_eq!(heard[2].key, format!("{}/undo", heard[0].branch));
}

#[tokio::test]
async fn a_name_that_is_missing_ends_the_step_without_a_call() {
    let service = Service::start(well).await;
    let world = world(&service).await;
    let mut pay = step("pay", "svc");
    pay["do"] = json!("POST /pay/{{book.id}}");
    let done = world.post("/v1/transactions", saga("s1", vec![step("book", "svc"), pay])).await;
    assert_eq!(done.code(), "missing_output", "{}", done.body);
    service.hears(2).await;
    assert_eq!(service.calls(), ["do POST /book", "undo DELETE /book"]);
}

#[tokio::test]
async fn a_reservation_is_tried_until_it_answers_then_confirmed_or_cancelled() {
    let tries = AtomicUsize::new(0);
    let service = Service::start(move |heard| match heard.call.as_str() {
        "POST /seat" => match tries.fetch_add(1, Ordering::SeqCst) {
            0 => (500, Json::Null),
            1 => (425, Json::Null),
            _ => (200, json!({ "seat": 7 })),
        },
        "POST /full" => (422, json!("sold out")),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let seat = json!({ "name": "seat", "resource": "svc", "try": "POST /seat",
        "confirm": "PUT /seat/{{seat.seat}}", "cancel": "DELETE /seat/{{seat.seat}}" });
    let done = world.post("/v1/transactions", saga("t1", vec![seat.clone()])).await;
    assert_eq!(done.body["outcome"], "committed", "{}", done.body);
    let tried = ["try POST /seat"; 3];
    assert_eq!(service.calls(), [&tried[..], &["confirm PUT /seat/7"]].concat());
    let heard = service.heard();
    assert!(heard[..3].iter().all(|one| one.key == heard[0].key), "{heard:#?}");
    // That it works on it is no failed try.
    assert_eq!(heard[2].attempt, "2");

    let full = json!({ "name": "full", "resource": "svc", "try": "POST /full",
        "confirm": "PUT /full", "cancel": "DELETE /full", "after": ["seat"] });
    let done = world.post("/v1/transactions", saga("t2", vec![seat, full])).await;
    assert_eq!(done.code(), "service_refused", "{}", done.body);
    service.hears(7).await;
    let calls = service.calls();
    assert_eq!(calls[4..], ["try POST /seat", "try POST /full", "cancel DELETE /seat/7"]);
}

#[tokio::test]
async fn a_reservation_is_cancelled_if_a_try_before_the_refusal_may_have_arrived() {
    let tries = AtomicUsize::new(0);
    let service = Service::start(move |heard| match heard.call.as_str() {
        "POST /seat" if tries.fetch_add(1, Ordering::SeqCst) == 0 => (500, Json::Null),
        "POST /seat" => (409, json!("a seat is taken once")),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let seat = json!({ "name": "seat", "resource": "svc", "try": "POST /seat",
        "confirm": "PUT /seat", "cancel": "DELETE /seat" });
    let done = world.post("/v1/transactions", saga("t1", vec![seat])).await;
    assert_eq!(done.code(), "service_refused", "{}", done.body);
    ends(&world, "t1", "aborted").await;
    assert_eq!(service.calls(), ["try POST /seat", "try POST /seat", "cancel DELETE /seat"]);
}

#[tokio::test]
async fn a_reservation_waits_for_a_service_that_is_down_while_there_is_time() {
    let address = nowhere();
    let world = World::new(&[("resources.svc.url", &format!("service+http://{address}"))]);
    let begin = |gid: &str, timeout_ms: u64, wait: &str| {
        let mut one = saga(
            gid,
            vec![json!({ "name": "seat", "resource": "svc",
            "try": "POST /seat", "confirm": "PUT /seat", "cancel": "DELETE /seat" })],
        );
        (one["timeout_ms"], one["wait"]) = (json!(timeout_ms), json!(wait));
        one
    };
    let first = world.post("/v1/transactions", begin("first", 100, "outcome")).await;
    assert_eq!(first.code(), "vote_timeout", "{}", first.body);
    is_seen_down(&world, "svc").await;
    let late = world.post("/v1/transactions", begin("late", 100, "outcome")).await;
    assert_eq!(late.code(), "vote_timeout", "{}", late.body);
    let waits = world.post("/v1/transactions", begin("waits", 60_000, "none")).await;
    assert_eq!(waits.status.as_u16(), 202, "{}", waits.body);
    let service = Service::start_at(&address, well).await;
    ends(&world, "waits", "committed").await;
    ends(&world, "late", "aborted").await;
    // What never arrived is not cancelled.
    assert_eq!(service.calls(), ["try POST /seat", "confirm PUT /seat"]);
    assert_eq!(service.heard()[0].gid, "waits");
}

#[tokio::test]
async fn a_dead_service_delays_only_its_own_and_costs_no_tries() {
    let address = nowhere();
    let alive = Service::start(well).await;
    let dead = format!("service+http://{address}");
    let world = World::new(&[("resources.dead.url", &dead), ("resources.svc.url", &alive.url)]);
    let mut waits = saga("waits", vec![step("a", "dead")]);
    waits["wait"] = json!("none");
    // Its next try is far away: only the breaker can wake it.
    waits["branches"][0]["retry"] = json!({ "first_ms": 60_000, "cap_ms": 60_000, "attempts": 2,
        "within_ms": 600_000 });
    assert_eq!(world.post("/v1/transactions", waits).await.status.as_u16(), 202);
    is_seen_down(&world, "dead").await;
    for number in 0..20 {
        let other = saga(&format!("other-{number}"), vec![step("b", "svc")]);
        let done = world.post("/v1/transactions", other).await;
        assert_eq!(done.body["outcome"], "committed", "{}", done.body);
    }
    let back = Service::start_at(&address, well).await;
    back.hears(1).await;
    ends(&world, "waits", "committed").await;
    assert_eq!(back.calls(), ["do POST /a"]);
}

#[tokio::test]
async fn a_delivery_that_never_left_is_not_stuck() {
    let address = nowhere();
    let world = World::new(&[("resources.svc.url", &format!("service+http://{address}"))]);
    let tell = json!({ "name": "tell", "resource": "svc", "kind": "deliver", "do": "POST /told",
        "retry": { "attempts": 1, "first_ms": 20, "cap_ms": 20 } });
    let sent = world.post("/v1/transactions", json!({ "gid": "m1", "branches": [tell] })).await;
    assert_eq!(sent.body["outcome"], "committed", "{}", sent.body);
    let shown = shows(&world, "m1", |shown| {
        shown["branches"][0]["attempts"].as_u64().is_some_and(|tries| tries > 3)
    });
    let shown = shown.await;
    assert_eq!(shown["stuck"], false, "{shown}");
    let service = Service::start_at(&address, well).await;
    ends(&world, "m1", "committed").await;
    assert_eq!(service.calls(), ["do POST /told"]);
}

#[tokio::test]
async fn a_step_that_waits_in_line_is_not_called_once_it_is_aborted() {
    let service = Service::start(|_| (0, Json::Null)).await;
    let flags = [("resources.svc.url", &*service.url), ("resources.svc.connections_max", "1")];
    let world = World::new(&flags);
    let begin = async |gid: &str, call_ms: u64| {
        let mut one = saga(gid, vec![step("a", "svc")]);
        one["wait"] = json!("none");
        one["branches"][0]["retry"] =
            json!({ "call_ms": call_ms, "first_ms": 60_000, "within_ms": 600_000 });
        assert_eq!(world.post("/v1/transactions", one).await.status.as_u16(), 202);
    };
    // Its call is given up after a while, and its place is the next one's.
    begin("calls", 300).await;
    service.hears(1).await;
    begin("waits", 10_000).await;
    let told = world.post("/v1/transactions/waits:abort", "").await;
    assert_eq!(told.body["outcome"], "aborted", "{}", told.body);
    ends(&world, "waits", "aborted").await;
    let gids: Vec<_> = service.heard().into_iter().map(|heard| heard.gid).collect();
    assert_eq!(gids, ["calls"]);
}

/// Two were running when the node died: the first keeps the only place at the service busy, and the
/// time of the second is over before it gets there. Nobody waits for it any more.
#[tokio::test]
async fn after_a_restart_too_what_is_aborted_in_line_is_not_called() {
    let service = Service::start(|heard| match heard.call.as_str() {
        "DELETE /a" => (200, Json::Null),
        _ => (0, Json::Null),
    });
    let service = service.await;
    let dir = TempDir::new().unwrap();
    let mut log = Sqlite::open(&dir.path().join("data"), SqliteOptions::default()).unwrap();
    let calls = json!({ "act": { "method": "POST", "path": "/a" },
        "undo": { "method": "DELETE", "path": "/a" } });
    let mut batch = Batch::default();
    let soon_ms = Some(now_ms() + 300);
    for (number, gid, call_ms, deadline_ms) in
        [(1, "calls", 1_500, None), (2, "waits", 60_000, soon_ms)]
    {
        let patience = json!({ "attempts": null, "within_ms": 600_000, "first_ms": 60_000,
            "cap_ms": 60_000, "call_ms": call_ms });
        let step = json!({ "kind": "step", "patience": patience, "work": { "calls": calls } });
        let branch = json!({ "name": "a", "resource": "svc", "vote": "unknown" });
        let case = json!({ "run": { "epoch": 1, "number": number }, "fingerprint": gid,
            "branches": [branch] });
        let plan = json!({ "terms": { "timeout_ms": 1_000, "deadline_ms": deadline_ms },
            "branches": [step] });
        // A record begins with its kind.
        let begun = format!(r#"{{"kind":"begun","case":{case},"plan":{plan}}}"#);
        batch.push(Change {
            stream: gid.into(),
            records: vec![begun],
            snapshot: false,
            open: true,
            summary: Summary { state: "running", label: format!("!1-{number} svc") },
        });
    }
    log.append(&batch, now_ms()).unwrap();
    log.close().unwrap();
    let flags = [("resources.svc.url", &*service.url), ("resources.svc.connections_max", "1")];
    let world = World::over(dir, &flags);
    ends(&world, "waits", "aborted").await;
    let heard = service.heard().into_iter().map(|heard| format!("{} {}", heard.gid, heard.call));
    // It may have been done before the node died.
    assert_eq!(heard.collect::<Vec<_>>(), ["calls POST /a", "waits DELETE /a"]);
}

async fn is_seen_down(world: &World, name: &str) {
    let down = async {
        while resource(world, name).await["health"] != "down" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AMPLE, down).await.expect("it is seen to be down");
}

async fn resource(world: &World, name: &str) -> Json {
    let all = world.get("/v1/resources").await.body;
    let found = all.as_array().unwrap().iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("{all}")).clone()
}

/// Waits until a transaction has ended so.
pub async fn ends(world: &World, gid: &str, state: &str) {
    shows(world, gid, |shown| shown["state"] == state).await;
}

/// Waits until a transaction is shown so.
pub async fn shows(world: &World, gid: &str, so: impl Fn(&Json) -> bool) -> Json {
    let path = format!("/v1/transactions/{gid}");
    let mut shown = Json::Null;
    let looks = async {
        while !so(&shown) {
            shown = world.get(&path).await.body;
            tokio::task::yield_now().await;
        }
    };
    let came = tokio::time::timeout(AMPLE, looks).await.is_ok();
    assert!(came, "{shown}");
    shown
}

#[tokio::test]
async fn all_calls_of_a_transaction_have_one_traceparent() {
    let tries = AtomicUsize::new(0);
    let service = Service::start(move |heard| match heard.call.as_str() {
        "POST /a" if tries.fetch_add(1, Ordering::SeqCst) == 0 => (503, Json::Null),
        "POST /no" => (422, Json::Null),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let tell = json!({ "name": "tell", "resource": "svc", "kind": "deliver", "do": "POST /tell" });
    let done = saga("done", vec![step("a", "svc"), tell]);
    let undone = saga("undone", vec![step("a", "svc"), step("no", "svc")]);
    let send = async |body: &Json, trace: &str| {
        let request = Request::post("/v1/transactions")
            .header("content-type", "application/json")
            .header("traceparent", trace);
        world.send(request.body(Body::from(body.to_string())).unwrap()).await.body
    };
    let callers = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let first = send(&done, "").await;
    assert_eq!(first["outcome"], "committed", "{first}");
    let again = send(&done, callers).await;
    assert_eq!(again["outcome"], "committed", "it is the same transaction: {again}");
    // What is no trace is none.
    assert_eq!(send(&undone, "00-0-0-00").await["code"], "service_refused");
    service.hears(6).await;
    let traces = |gid: &str| -> Vec<String> {
        let heard = service.heard();
        heard.into_iter().filter(|heard| heard.gid == gid).map(|heard| heard.trace).collect()
    };
    let (done, undone) = (traces("done"), traces("undone"));
    assert_eq!((done.len(), undone.len()), (3, 3), "do, do again, deliver; do, no, undo");
    for (made, other) in [(&done, &undone), (&undone, &done)] {
        assert!(made.iter().all(|trace| *trace == made[0] && *trace != other[0]), "{made:?}");
        let parts: Vec<_> = made[0].split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2], "{}", made[0]);
        assert!(made[0].starts_with("00-") && made[0].ends_with("-01"), "{}", made[0]);
    }
    send(&saga("callers", vec![step("b", "svc")]), callers).await;
    assert_eq!(traces("callers"), [callers]);
    send(&json!({ "gid": "open", "open": true, "branches": [step("b", "svc")] }), "").await;
    service.hears(8).await;
    let world = world.restart().await;
    world.post("/v1/transactions/open:abort", "").await;
    ends(&world, "open", "aborted").await;
    let [before, after] = traces("open").try_into().unwrap();
    assert_eq!(before, after, "the do, and after the restart the undo");
}

#[tokio::test]
async fn answers_that_fail_do_not_mean_that_the_service_is_away() {
    let tries = AtomicUsize::new(0);
    let service = Service::start(move |heard| match heard.call.as_str() {
        "POST /a" if tries.fetch_add(1, Ordering::SeqCst) < 3 => (503, Json::Null),
        "POST /b" => (404, Json::Null),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let done = world.post("/v1/transactions", saga("s1", vec![step("a", "svc")])).await;
    assert_eq!(done.body["outcome"], "committed", "{}", done.body);
    let heard = service.heard();
    let attempts: Vec<_> = heard.iter().map(|one| one.attempt.as_str()).collect();
    assert_eq!(attempts, ["1", "2", "3", "4"], "{heard:#?}");
    let mut stuck = saga("s2", vec![step("b", "svc")]);
    stuck["wait"] = json!("none");
    world.post("/v1/transactions", stuck).await;
    service.hears(5).await;
    let svc = resource(&world, "svc").await;
    assert_ne!(svc["health"], "down", "{svc}");
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_may() {
    const MAX: usize = 2;
    let service = Service::start(|_| (0, Json::Null)).await;
    let max = MAX.to_string();
    let flags = [
        ("resources.svc.url", service.url.as_str()),
        ("resources.svc.connections_max", &max),
        // What hangs is given up, and its place is the next one's.
        ("resources.svc.call_timeout_ms", "300"),
    ];
    let world = World::new(&flags);
    for number in 0..6 {
        let mut one = saga(&format!("s{number}"), vec![step("a", "svc")]);
        one["wait"] = json!("none");
        one["branches"][0]["retry"] = json!({ "first_ms": 60_000, "within_ms": 600_000 });
        world.post("/v1/transactions", one).await;
    }
    service.hears(MAX).await;
    let svc = resource(&world, "svc").await;
    assert_eq!(svc["calls"], MAX, "{svc}");
    // The others wait in line for less than a call may take, and are then not sent.
    let heard: Vec<String> = service.heard().into_iter().map(|heard| heard.gid).collect();
    assert_eq!(heard.len(), MAX, "{heard:?}");
}

#[tokio::test]
async fn a_message_goes_when_the_service_says_that_the_caller_committed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let service = Service::start(move |heard| match heard.call.as_str() {
        "GET /committed" if counted.fetch_add(1, Ordering::SeqCst) == 0 => (500, Json::Null),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    let message = json!({ "gid": "m1", "open": true, "deadline_ms": 50,
        "ask": { "resource": "svc", "call": "GET /committed" },
        "branches": [{ "name": "tell", "resource": "svc", "kind": "deliver",
            "message": { "type": "order.placed" } }] });
    let taken = world.post("/v1/transactions", message).await;
    assert!(taken.status.is_success(), "{}", taken.body);
    ends(&world, "m1", "committed").await;
    let calls = service.calls();
    assert_eq!(calls, ["ask GET /committed", "ask GET /committed", "do POST /"]);
}

#[tokio::test]
async fn an_answer_to_the_asking_back_that_tells_nothing_is_shown() {
    let service = Service::start(|_| (400, json!("what?"))).await;
    let world = world(&service).await;
    let message = json!({ "gid": "m1", "open": true, "deadline_ms": 20,
        "ask": { "resource": "svc", "call": "GET /committed" } });
    world.post("/v1/transactions", message).await;
    let shown = shows(&world, "m1", |shown| shown["asking"]["last_answer"].is_string()).await;
    assert!(shown["asking"]["last_answer"].to_string().contains("400"), "{shown}");
    assert_eq!(shown["stuck"], true, "{shown}");
    let told = world.post("/v1/transactions/m1:commit", "").await;
    assert_eq!(told.body["outcome"], "committed", "{}", told.body);
    assert_eq!(told.body["asking"], Json::Null, "{}", told.body);
}

#[tokio::test]
async fn calls_and_ends_are_measured() {
    let service = Service::start(|heard| match heard.call.as_str() {
        "POST /no" => (422, Json::Null),
        _ => (200, Json::Null),
    });
    let service = service.await;
    let world = world(&service).await;
    world.post("/v1/transactions", saga("s1", vec![step("a", "svc")])).await;
    world.post("/v1/transactions", saga("s1", vec![step("a", "svc")])).await;
    world.post("/v1/transactions", saga("s2", vec![step("no", "svc")])).await;
    world.post("/v1/transactions", saga("s3", vec![step("a", "svc"), step("no", "svc")])).await;
    ends(&world, "s3", "aborted").await;
    let text = world.get("/metrics").await.body.as_str().unwrap().to_owned();
    let count = |line: &str| {
        let line = text.lines().find_map(|found| found.strip_prefix(&format!("{line} ")));
        line.and_then(|count| count.parse::<u64>().ok())
    };
    let took = |labels: &str| count(&format!("handfast_transaction_seconds_count{{{labels}}}"));
    assert_eq!(took(r#"until="applied",outcome="committed""#), Some(1), "{text}");
    assert_eq!(took(r#"until="decided",outcome="aborted""#), Some(2), "{text}");
    let calls = |call: &str| {
        count(&format!("handfast_call_seconds_count{{resource=\"svc\",call=\"{call}\"}}"))
    };
    assert_eq!((calls("do"), calls("undo")), (Some(4), Some(1)), "{text}");
    let replies = |reply: &str| {
        count(&format!("handfast_replies_total{{resource=\"svc\",reply=\"{reply}\"}}"))
    };
    assert_eq!((replies("done"), replies("refused")), (Some(3), Some(2)), "{text}");
}
