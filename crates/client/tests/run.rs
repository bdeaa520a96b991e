//! Running a transaction: every ending is what is known, and nothing more.

use crate::script::{Script, Step, aborted, answer, busy, problem, transaction};
use handfast_client::{
    Error, Handfast, Outcome, params,
    wire::{Decide, KeyOp, Wait},
};
use serde_json::json;
use std::time::Duration;

fn committed() -> Step {
    answer(200, transaction("committed", "committing"))
}

async fn run(client: &Handfast) -> Result<Outcome, Error> {
    let add = KeyOp::Add { key: "k".into(), by: 1, min: None, max: None };
    client.transaction("t-1").keys("credit", "bank-a", vec![add]).run().await
}

#[tokio::test]
async fn the_builder_says_what_the_wire_describes() {
    let node = Script::new(vec![committed()]).await;
    let outcome = node
        .client()
        .transaction("t-1")
        .sql("debit", "checking", "UPDATE a", params![100, "alice", None::<i64>])
        .expect_rows(1)
        .keys("credit", "bank-a", vec![KeyOp::Get { key: "k".into() }])
        .sql("debit", "checking", "SELECT b", params![])
        .returning()
        .timeout(Duration::from_millis(700))
        .hold()
        .no_wait()
        .run()
        .await
        .unwrap();
    assert!(outcome.is_committed());
    let heard = node.heard();
    assert_eq!(heard[0].line, "POST /v1/transactions HTTP/1.1");
    let expected = json!({
        "gid": "t-1", "timeout_ms": 700, "wait": Wait::None, "hold": true,
        "branches": [
            { "name": "credit", "resource": "bank-a", "keys": [{ "op": "get", "key": "k" }] },
            { "name": "debit", "resource": "checking", "sql": [
                ["UPDATE a", [100, "alice", null], { "rows": 1 }],
                ["SELECT b", [], { "returns": true }],
            ] },
        ],
    });
    assert_eq!(heard[0].body, expected);
}

#[tokio::test]
async fn a_way_to_decide_is_said_unless_it_is_the_default() {
    let node = Script::new(vec![committed(), committed()]).await;
    for decide in [Decide::ThreePhase, Decide::Log] {
        let outcome = node.client().transaction("t-1").decide(decide).run().await;
        assert!(outcome.unwrap().is_committed());
    }
    let heard = node.heard();
    assert_eq!(heard[0].body["decide"], "three_phase");
    assert_eq!(heard[1].body.get("decide"), None, "older nodes do not know the field");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_gid() {
    let node = Script::new(vec![Step::HangUp, committed()]).await;
    let client = node.client();
    let transaction = client.new_transaction();
    let gid = transaction.gid().to_owned();
    let outcome = transaction.keys("a", "bank-a", vec![]).run().await.unwrap();
    assert!(outcome.is_committed());
    let heard = node.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].body["gid"], gid);
    assert_eq!(heard[0].body, heard[1].body);
}

#[tokio::test]
async fn a_busy_node_is_asked_again() {
    let node = Script::new(vec![busy(), busy(), committed()]).await;
    assert!(run(&node.client()).await.unwrap().is_committed());
    assert_eq!(node.heard().len(), 3);
}

#[tokio::test]
async fn a_node_that_stays_busy_is_an_error_because_nothing_happened() {
    let busy = problem(503, "busy").to_string();
    let node = Script::new(vec![Step::Answer(503, "retry-after: 60\r\n", busy)]).await;
    let error = run(&node.client()).await.unwrap_err();
    assert!(matches!(error, Error::Busy(p) if p.code == "busy"));
    assert_eq!(node.heard().len(), 1, "a wait longer than the patience is not begun");
}

#[tokio::test]
async fn an_abort_is_a_value_with_its_reason() {
    let mut refused = problem(409, "aborted");
    refused["transaction"] = aborted();
    for status in [409, 422] {
        let node = Script::new(vec![answer(status, refused.clone())]).await;
        let Outcome::Aborted(abort) = run(&node.client()).await.unwrap() else {
            panic!("not aborted")
        };
        assert_eq!(abort.branch.as_deref(), Some("debit"));
        assert_eq!((abort.code.as_str(), abort.message.as_str()), ("rows_differ", "0 rows, not 1"));
        assert!(!abort.retryable);
    }
}

#[tokio::test]
async fn a_wait_that_ends_first_is_unknown_with_the_place_to_ask() {
    let node = Script::new(vec![answer(202, transaction("unknown", "held"))]).await;
    let Outcome::Unknown(unknown) = run(&node.client()).await.unwrap() else {
        panic!("not unknown")
    };
    assert!(unknown.is_held());
    assert_eq!(unknown.ask_at, format!("{}/v1/transactions/t-1", node.url));
}

#[tokio::test]
async fn giving_up_after_it_may_have_arrived_is_unknown() {
    let node = Script::new(vec![Step::HangUp]).await;
    let client = node.client_with_ms(200);
    let transaction = client.transaction("t-1").timeout(Duration::ZERO);
    let Outcome::Unknown(unknown) = transaction.run().await.unwrap() else { panic!("not unknown") };
    assert!(unknown.transaction.is_none());
    assert!(node.heard().len() > 1, "it was retried");
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_proves_nothing() {
    let node = Script::new(vec![Step::HangUp, answer(401, problem(401, "token_unknown"))]).await;
    let Outcome::Unknown(unknown) = run(&node.client()).await.unwrap() else {
        panic!("not unknown")
    };
    assert!(unknown.why.contains("token_unknown"), "{}", unknown.why);
}

#[tokio::test]
async fn a_proxy_s_503_proves_nothing() {
    let node = Script::new(vec![Step::Answer(503, "", "<html>".into()), committed()]).await;
    assert!(run(&node.client()).await.unwrap().is_committed());
    let node = Script::new(vec![Step::Answer(502, "", "<html>".into())]).await;
    let begin = node.client_with_ms(0).transaction("t-1").timeout(Duration::ZERO);
    assert!(matches!(begin.run().await.unwrap(), Outcome::Unknown(_)));
}

#[tokio::test]
async fn a_garbled_answer_is_unknown_and_no_panic() {
    for body in ["", "{", "[1]", r#"{"outcome":"committed"}"#] {
        let node = Script::new(vec![Step::Answer(200, "", body.into())]).await;
        assert!(matches!(run(&node.client()).await.unwrap(), Outcome::Unknown(_)));
    }
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_unknown() {
    let endless = format!("\"{}\"", "x".repeat(9 << 20));
    let node = Script::new(vec![Step::Answer(200, "", endless)]).await;
    let begin = node.client_with_ms(0).transaction("t-1").timeout(Duration::ZERO);
    assert!(matches!(begin.run().await.unwrap(), Outcome::Unknown(_)));
}

#[tokio::test]
async fn a_bad_request_is_an_error_and_not_repeated() {
    for status in [400, 409, 413, 422] {
        let node = Script::new(vec![answer(status, problem(status, "bad"))]).await;
        assert!(matches!(run(&node.client()).await, Err(Error::BadRequest(_))));
        assert_eq!(node.heard().len(), 1);
    }
    for status in [401, 403] {
        let node = Script::new(vec![answer(status, problem(status, "bad"))]).await;
        assert!(matches!(run(&node.client()).await, Err(Error::Refused(_))));
    }
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client =
        Handfast::builder(&format!("http://{free}")).timeout(Duration::ZERO).build().unwrap();
    let begin = client.transaction("t-1").timeout(Duration::ZERO);
    assert!(matches!(begin.run().await, Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn a_silent_node_ends_the_wait() {
    let node = Script::new(vec![Step::Silence]).await;
    let client = node.client_with_ms(10);
    let begin = client.transaction("t-1").timeout(Duration::ZERO);
    let waited = tokio::time::timeout(Duration::from_secs(60), begin.run());
    assert!(matches!(waited.await.unwrap().unwrap(), Outcome::Unknown(_)));
}

#[tokio::test]
async fn a_node_that_comes_up_later_gets_the_request() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Handfast::builder(&format!("http://{address}")).build().unwrap();
    let running = tokio::spawn(async move { run(&client).await });
    tokio::task::yield_now().await;
    let node = Script::at(address, vec![committed()]).await;
    assert!(running.await.unwrap().unwrap().is_committed());
    assert_eq!(node.heard().len(), 1);
}
