//! Steps, deliveries and open transactions: what is sent, and what comes of every answer.

use std::time::Duration;

use crate::script::{Script, Step, aborted, answer, busy, problem, transaction};
use handfast_client::{
    Call, Command, Error, Message, NotDone, Open, Outcome, Retry, output, params,
    wire::{self, Because, Branch, Bulk, BulkEdit, BulkResolve, Edit, ListFilter},
};
use serde_json::{Value, json};

fn running(branches: Value) -> Value {
    let mut running = transaction("unknown", "running");
    running["branches"] = branches;
    running
}

fn book(state: &str, output: Value) -> Value {
    let named = json!({ "name": "book", "resource": "courier", "kind": "step", "id": "hf1_x" });
    let mut book = named;
    book["state"] = state.into();
    book["output"] = output;
    book
}

/// A node with an open transaction that then answers so.
async fn open(then: Vec<Step>) -> (Script, Open) {
    let node = Script::new([vec![answer(202, running(json!([])))], then].concat()).await;
    let open = node.client().transaction("t-1").open().await.unwrap();
    (node, open)
}

fn refused() -> Value {
    let mut refused = problem(409, "aborted");
    refused["transaction"] = aborted();
    refused["transaction"]["reason"]["body"] = json!({ "why": "sold out" });
    refused
}

#[tokio::test]
async fn the_builder_says_steps_reservations_and_deliveries_as_the_wire_does() {
    let node = Script::new(vec![answer(200, transaction("committed", "committing"))]).await;
    let retry = Retry { attempts: Some(3), ..Retry::default() };
    let run = node.client().transaction("t-1").input(json!({ "room": 7 }));
    let run = run
        .step("book", "courier", Call::post("/bookings").body(json!({ "room": "{{input.room}}" })))
        .undo(Call::delete("/bookings/{{book.id}}").header("x-why", "undo"))
        .retry(retry)
        .undo_retry(Retry { cap_ms: Some(9), ..retry })
        .absent_is_undone()
        .sql("debit", "checking", "UPDATE a SET b = $1", params![output("book.id")])
        .after(["book"])
        .expect_rows(1)
        .reserve("hold", "stock", "POST /try", "POST /confirm", "POST /cancel")
        .deliver("tell", "mail", "POST /mail")
        .order_key("alice")
        .message("event", "orders", Message::new("OrderPlaced", json!({ "id": 1 })))
        .deadline(Duration::from_secs(9));
    assert!(run.run().await.unwrap().is_committed());
    let expected = json!({
        "gid": "t-1", "input": { "room": 7 }, "deadline_ms": 9_000,
        "branches": [
            { "name": "book", "resource": "courier", "kind": "step",
              "do": { "call": "POST /bookings", "body": { "room": "{{input.room}}" } },
              "undo": { "call": "DELETE /bookings/{{book.id}}", "headers": { "x-why": "undo" } },
              "retry": { "attempts": 3 }, "undo_retry": { "attempts": 3, "cap_ms": 9 },
              "absent_is_undone": true },
            { "name": "debit", "resource": "checking", "after": ["book"],
              "sql": [["UPDATE a SET b = $1", [{ "output": "book.id" }], { "rows": 1 }]] },
            { "name": "hold", "resource": "stock", "try": { "call": "POST /try" },
              "confirm": { "call": "POST /confirm" }, "cancel": { "call": "POST /cancel" } },
            { "name": "tell", "resource": "mail", "kind": "deliver",
              "do": { "call": "POST /mail" }, "order_key": "alice" },
            { "name": "event", "resource": "orders", "kind": "deliver",
              "message": { "type": "OrderPlaced", "data": { "id": 1 } } },
        ],
    });
    assert_eq!(node.heard()[0].body, expected);
}

#[tokio::test]
async fn outputs_are_typed() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Booking {
        id: String,
    }
    let mut done = transaction("committed", "committed");
    done["branches"] = json!([book("finished", json!({ "id": "b-1" }))]);
    let node = Script::new(vec![answer(200, done)]).await;
    let outcome = node.client().outcome("t-1").await.unwrap();
    assert_eq!(outcome.output::<Booking>("book").unwrap(), Booking { id: "b-1".into() });
    let error = outcome.output::<u8>("book").unwrap_err().to_string();
    assert!(error.starts_with("the output of `book` is something else"), "{error}");
    assert!(outcome.output::<Value>("other").is_err());
}

#[tokio::test]
async fn a_step_of_an_open_transaction_gives_its_output() {
    let done = running(json!([book("done", json!({ "id": "b-1" }))]));
    let committed = answer(200, transaction("committed", "committing"));
    let (node, open) = open(vec![answer(200, done), committed]).await;
    let step = open.step("book", "courier", "POST /bookings").undo("DELETE /bookings/{{book.id}}");
    assert_eq!(step.await.unwrap(), json!({ "id": "b-1" }));
    assert!(open.commit().await.unwrap().is_committed());
    let heard = node.heard();
    assert_eq!(heard[0].body, json!({ "gid": "t-1", "open": true, "branches": [] }));
    assert_eq!(heard[1].line, "POST /v1/transactions/t-1/branches HTTP/1.1");
    let expected = json!({
        "name": "book", "resource": "courier", "kind": "step",
        "do": { "call": "POST /bookings" }, "undo": { "call": "DELETE /bookings/{{book.id}}" },
    });
    assert_eq!(heard[1].body, expected);
    assert_eq!(heard[2].line, "POST /v1/transactions/t-1:commit HTTP/1.1");
}

#[tokio::test]
async fn a_step_that_takes_long_is_waited_for() {
    let working = answer(202, running(json!([book("working", Value::Null)])));
    let done = answer(200, running(json!([book("done", json!(7))])));
    let then = vec![Step::HangUp, working.clone(), busy(), working, done];
    let (node, open) = open(then).await;
    assert_eq!(open.step("book", "courier", "POST /b").await.unwrap(), 7);
    let heard = node.heard();
    assert_eq!(heard[1].body, heard[2].body, "a lost answer is asked for by the same branch");
    assert_eq!(heard[5].line, "GET /v1/transactions/t-1 HTTP/1.1");
}

#[tokio::test]
async fn a_step_that_is_not_done_says_what_is_known() {
    let (_node, refused_one) = open(vec![answer(409, refused())]).await;
    match refused_one.step("book", "courier", "POST /b").await {
        Err(NotDone::Aborted(abort)) => {
            assert_eq!(abort.body, Some(json!({ "why": "sold out" })));
        }
        other => panic!("{other:?}"),
    }
    let (_node, sealed) = open(vec![answer(409, problem(409, "sealed"))]).await;
    let error = sealed.step("book", "courier", "POST /b").await.unwrap_err();
    assert!(matches!(error, NotDone::Error(Error::BadRequest(_))), "{error:?}");
    // A lost answer, and a refusal that may be of the second attempt: nobody knows.
    let (node, lost) = open(vec![Step::HangUp, answer(409, problem(409, "sealed"))]).await;
    let error = lost.step("book", "courier", "POST /b").await.unwrap_err();
    assert!(matches!(error, NotDone::Unknown(_)), "{error:?}");
    assert_eq!(node.heard().len(), 4, "and the node is asked once what it knows");
    let committed = answer(200, transaction("committed", "committed"));
    let (_node, over) = open(vec![committed]).await;
    let error = over.step("book", "courier", "POST /b").await.unwrap_err();
    assert!(matches!(error, NotDone::Committed(_)), "{error:?}");
}

#[tokio::test]
async fn what_is_not_a_step_is_only_taken() {
    let mut debit = book("waiting", Value::Null);
    debit["name"] = "debit".into();
    debit["kind"] = "prepare".into();
    let (node, open) = open(vec![answer(200, running(json!([debit])))]).await;
    let added = open.sql("debit", "checking", "UPDATE a", params![]).expect_rows(1).returning();
    assert_eq!(added.await.unwrap(), Value::Null);
    let sql = json!([["UPDATE a", [], { "rows": 1, "returns": true }]]);
    assert_eq!(node.heard()[1].body["sql"], sql);
}

#[tokio::test]
async fn what_is_over_is_not_open() {
    for (step, expected) in [
        (answer(409, refused()), "the transaction is aborted: 0 rows, not 1"),
        (
            answer(200, transaction("committed", "committed")),
            "the transaction is committed already",
        ),
    ] {
        let node = Script::new(vec![step]).await;
        let Err(error) = node.client().transaction("t-1").open().await else { panic!("open") };
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_two_phase_message_is_prepared_and_submitted() {
    let committed = answer(200, transaction("committed", "committing"));
    let node = Script::new(vec![answer(202, running(json!([]))), committed]).await;
    let client = node.client();
    let message = |gid: &str| {
        let placed = Message::new("OrderPlaced", json!({}));
        client.message(gid).message("tell", "shop", placed).deadline(Duration::from_secs(3))
    };
    let Err(error) = message("t-1").prepare().await else { panic!("nobody to ask") };
    assert!(matches!(error, NotDone::Error(Error::Setup(_))), "{error:?}");
    assert!(node.heard().is_empty());
    let prepared = message("t-1").ask("orders", Call::post("/handfast/ask")).prepare();
    assert!(prepared.await.unwrap().submit().await.unwrap().is_committed());
    let heard = node.heard();
    let ask = json!({ "resource": "orders", "call": { "call": "POST /handfast/ask" } });
    assert_eq!((&heard[0].body["ask"], &heard[0].body["open"]), (&ask, &json!(true)));
    assert_eq!(heard[1].line, "POST /v1/transactions/t-1:commit HTTP/1.1");
}

#[tokio::test]
async fn an_open_transaction_is_aborted_with_a_reason() {
    let (node, open) = open(vec![answer(200, aborted())]).await;
    assert!(matches!(open.abort("changed my mind").await, Ok(Outcome::Aborted(_))));
    assert_eq!(node.heard()[1].body, json!({ "reason": "changed my mind" }));
}

#[tokio::test]
async fn operators_retry_edit_and_see_beforehand() {
    let dry = json!({ "records": ["Decided"], "effects": [] });
    let steps = [transaction("unknown", "aborting"), transaction("unknown", "aborting"), dry];
    let node = Script::new(steps.map(|body| answer(200, body)).into()).await;
    let client = node.client();
    client.retry_branch("t-1", "book", "it is back").await.unwrap();
    let branch = Branch::step("book", "courier", "POST /b");
    let edit = Edit { branch, reason: "the path was wrong".into() };
    client.edit("t-1", &edit).await.unwrap();
    let abort = Command::Abort(Because { reason: "why not".into() });
    assert_eq!(client.dry_run("t-1", &abort).await.unwrap().records, ["Decided"]);
    let heard = node.heard();
    assert_eq!(heard[0].body, json!({ "branch": "book", "reason": "it is back" }));
    assert_eq!(heard[1].line, "POST /v1/transactions/t-1:edit HTTP/1.1");
    assert_eq!(heard[1].body["branch"]["do"], json!({ "call": "POST /b" }));
    assert_eq!(heard[2].line, "POST /v1/transactions/t-1:abort?dry_run=true HTTP/1.1");
}

#[tokio::test]
async fn one_word_is_said_to_many() {
    let node = Script::new(vec![answer(200, json!({ "taken": ["t-1"], "next": "n" }))]).await;
    let client = node.client();
    let bulk = Bulk { reason: "night shift".into(), ..Bulk::default() };
    assert_eq!(client.retry_all(&bulk).await.unwrap().taken, ["t-1"]);
    client.commit_all(&bulk).await.unwrap();
    assert_eq!(client.abort_all(&bulk).await.unwrap().next.as_deref(), Some("n"));
    let branch = Branch::step("book", "courier", "POST /b");
    let edit = BulkEdit { branch, reason: "moved".into(), ..BulkEdit::default() };
    client.edit_all(&edit).await.unwrap();
    let (filter, reason) = (ListFilter::default(), "seen".into());
    let outcome = wire::Outcome::Committed;
    let resolve = BulkResolve { filter, branch: None, outcome, reason, dry_run: Some(true) };
    client.resolve_all(&resolve).await.unwrap();
    let heard = node.heard();
    let lines: Vec<_> = heard.iter().map(|heard| heard.line.as_str()).collect();
    let expected = ["retry", "commit", "abort", "edit", "resolve"]
        .map(|v| format!("POST /v1/transactions:{v} HTTP/1.1"));
    assert_eq!(lines, expected);
    assert_eq!(heard[3].body["branch"]["do"], json!({ "call": "POST /b" }));
    let resolve =
        json!({ "filter": {}, "outcome": "committed", "reason": "seen", "dry_run": true });
    assert_eq!(heard[4].body, resolve);
}
