//! Asking, and telling a transaction what to do.

use crate::script::{Script, Step, answer, busy, problem, transaction};
use handfast_client::{
    Error, Handfast, Outcome, Shard, ShardValue,
    wire::{self, ListFilter, Resolve},
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

#[tokio::test]
async fn connect_needs_a_node_that_answers() {
    let node = Script::new(vec![answer(200, json!({}))]).await;
    Handfast::connect(&node.url).await.unwrap();
    assert_eq!(node.heard()[0].line, "GET /healthz HTTP/1.1");
    let other = Script::new(vec![Step::Answer(404, "", "<html>".into())]).await;
    assert!(matches!(Handfast::connect(&other.url).await, Err(Error::NotHandfast { .. })));
}

#[tokio::test]
async fn addresses_that_cannot_work_are_setup_errors() {
    for url in ["", "localhost:7400", "ftp://x", "http://", "http://x?y", "http://a b"] {
        assert!(matches!(Handfast::builder(url).build(), Err(Error::Setup(_))), "{url}");
    }
    let missing = Handfast::builder("https://x").ca_file("/nowhere.pem").build();
    assert!(matches!(missing, Err(Error::Setup(_))));
    let split = Handfast::builder("http://x").token("a\nb").build();
    assert!(matches!(split, Err(Error::Setup(e)) if !e.contains("a\nb")));
}

#[tokio::test]
async fn the_token_is_sent() {
    let node = Script::new(vec![answer(200, json!([]))]).await;
    let client = Handfast::builder(&node.url).token("s3cret\n").build().unwrap();
    client.resources().await.unwrap();
    assert!(node.heard()[0].head.contains("authorization: bearer s3cret\r\n"));
}

#[tokio::test]
async fn filters_are_escaped() {
    let page = json!({ "transactions": [], "next": "n" });
    let node = Script::new(vec![answer(200, page)]).await;
    let filter = ListFilter {
        state: Some("in-doubt".into()),
        prefix: Some("a&b=c d".into()),
        limit: Some(7),
        ..ListFilter::default()
    };
    let page = node.client().list(&filter).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("n"));
    let line = &node.heard()[0].line;
    assert_eq!(line, "GET /v1/transactions?state=in-doubt&prefix=a%26b%3Dc%20d&limit=7 HTTP/1.1");
}

#[tokio::test]
async fn a_missing_transaction_is_not_found() {
    let node = Script::new(vec![answer(404, problem(404, "no_such_transaction"))]).await;
    assert!(matches!(node.client().get("a/b").await, Err(Error::NotFound(_))));
    assert_eq!(node.heard()[0].line, "GET /v1/transactions/a%2Fb HTTP/1.1");
}

#[tokio::test]
async fn wait_asks_until_the_outcome_is_known() {
    let open = answer(200, transaction("unknown", "preparing"));
    let done = answer(200, transaction("committed", "committed"));
    let node = Script::new(vec![open.clone(), Step::HangUp, busy(), open, done]).await;
    let outcome = node.client().wait("t-1", Duration::from_secs(30)).await.unwrap();
    assert!(outcome.is_committed());
    assert_eq!(node.heard().len(), 5);
}

#[tokio::test]
async fn wait_ends_with_unknown() {
    let node = Script::new(vec![answer(200, transaction("unknown", "preparing"))]).await;
    let outcome = node.client().wait("t-1", Duration::ZERO).await.unwrap();
    assert!(matches!(outcome, Outcome::Unknown(u) if u.transaction.is_some()));
}

#[tokio::test]
async fn commands_carry_their_reason() {
    let node = Script::new(vec![answer(200, transaction("committed", "committing"))]).await;
    let client = node.client();
    assert!(client.commit("t-1", "paid").await.unwrap().is_committed());
    client.retry("t-1", "it is back").await.unwrap();
    let outcome = wire::Outcome::Committed;
    let resolve = Resolve { branch: "debit".into(), outcome, reason: "seen".into() };
    client.resolve("t-1", &resolve).await.unwrap();
    let heard = node.heard();
    assert_eq!(heard[0].line, "POST /v1/transactions/t-1:commit HTTP/1.1");
    assert_eq!(heard[0].body, json!({ "reason": "paid" }));
    assert_eq!(heard[1].line, "POST /v1/transactions/t-1:retry HTTP/1.1");
    let told = json!({ "branch": "debit", "outcome": "committed", "reason": "seen" });
    assert_eq!(heard[2].body, told);
}

#[tokio::test]
async fn a_lost_command_is_unknown_or_unanswered() {
    let node = Script::new(vec![Step::HangUp]).await;
    let client = node.client_with_ms(0);
    assert!(matches!(client.abort("t-1", "").await, Ok(Outcome::Unknown(_))));
    assert!(matches!(client.retry("t-1", "").await, Err(Error::NoAnswer { .. })));
    assert!(matches!(client.resources().await, Err(Error::NoAnswer { .. })));
}

#[tokio::test]
async fn findings_are_told() {
    let finding = json!({ "level": "error", "code": "off", "message": "m", "cure": "c" });
    let node = Script::new(vec![answer(200, json!({ "findings": [finding] }))]).await;
    let findings = node.client().check("checking").await.unwrap();
    assert_eq!(findings[0].level, wire::FindingLevel::Error);
    assert_eq!(node.heard()[0].line, "POST /v1/resources/checking:check HTTP/1.1");
}

#[tokio::test]
async fn a_shard_is_read_page_by_page() {
    let key = |key: &str, by: i64| json!({ "key": key, "value": { "int": by } });
    let node = Script::new(vec![
        answer(200, json!({ "loaded": 1 })),
        answer(200, json!({ "keys": [key("a", 1)], "total": 2, "next": "a&" })),
        answer(200, json!({ "keys": [key("b", -2)], "total": 2 })),
        answer(200, json!({ "in_doubt": [{ "branch": "hf1_x" }], "foreign": 0 })),
    ])
    .await;
    let shard = Shard::builder(&node.url).build_shard().unwrap();
    let keys = BTreeMap::from([("a".into(), ShardValue::Int(1))]);
    shard.load(&keys).await.unwrap();
    let read = shard.keys("").await.unwrap();
    assert_eq!(read["b"], ShardValue::Int(-2));
    assert_eq!(read.len(), 2);
    assert_eq!(shard.in_doubt().await.unwrap(), ["hf1_x"]);
    let heard = node.heard();
    assert_eq!(heard[0].body, json!({ "keys": { "a": { "int": 1 } } }));
    assert_eq!(heard[2].line, "GET /v1/keys?prefix=&after=a%26 HTTP/1.1");
}
