//! What a node does about branches that it finds prepared, and nobody votes on; and what it says of
//! steps that it may have called.

use axum::http::{Method, StatusCode};
use handfast_core::{
    id::{BranchId, Cluster, RunId},
    machine::Summary,
    transaction::{Case, Decision, Known, Record},
};
use handfast_log::{Batch, Change, Log, Sqlite, SqliteOptions};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    pacts::{AMPLE, Bank},
    requests::World,
    steps::{over, state, step},
};

/// More than are finished at once.
const ORPHANS: u64 = 150;
/// Of this run the log holds what cannot be read, and of the other a decision to commit.
const UNCLEAR: u64 = 7;
const COMMITTED: u64 = 8;

fn run(number: u64) -> RunId {
    RunId { epoch: 1, number }
}

fn branch(number: u64) -> BranchId {
    BranchId { cluster: Cluster::new("us").unwrap(), run: run(number), index: 0 }
}

/// The log of a node that died.
fn dead_node() -> TempDir {
    let dir = TempDir::new().unwrap();
    let cluster = Some(Cluster::new("us").unwrap());
    let options = SqliteOptions { cluster, ..SqliteOptions::default() };
    let mut log = Sqlite::open(&dir.path().join("data"), options).unwrap();
    let case: Case = serde_json::from_value(json!({
        "run": { "epoch": 1, "number": COMMITTED }, "fingerprint": "f",
        "branches": [{ "name": "a", "resource": "shard", "vote": "yes" }],
    }))
    .unwrap();
    let decided = Record::Decided { decision: Decision::Commit, case: Some(case) };
    let decided = serde_json::to_string(&decided).unwrap();
    let mut batch = Batch::default();
    for (number, body) in
        [(UNCLEAR, r#"{"kind":"of_a_later_version"}"#.into()), (COMMITTED, decided)]
    {
        let summary = Summary { state: "committed", label: Known::mark(run(number)) };
        let (stream, records) = (format!("g{number}").into(), vec![body]);
        batch.push(Change { stream, records, snapshot: false, open: false, summary });
    }
    log.append(&batch, u64::MAX / 2).unwrap();
    log.close().unwrap();
    dir
}

#[tokio::test]
async fn orphans_are_finished_and_one_that_is_unclear_stops_none_of_the_others() {
    let bank = Bank::start("shard", &[], None).await;
    for number in 1..=ORPHANS {
        let key = format!("k{number}");
        let work = json!({ "keys": [{ "op": "add", "key": key, "by": 1 }] });
        let body = json!({ "work": work, "within_ms": 1_000 }).to_string();
        let path = format!("/v1/branches/{}/prepare", branch(number));
        let (status, answer) = bank.call(Method::POST, &path, &body).await;
        assert!(status == StatusCode::OK && answer.contains("yes"), "{answer}");
    }
    let _world = World::over(dead_node(), &[("cluster", "us"), ("resources.shard.url", &bank.url)]);
    let left = tokio::time::timeout(AMPLE, async {
        loop {
            let listed = bank.get("/v1/branches").await;
            let left = listed["in_doubt"].as_array().unwrap().clone();
            if left.len() <= 1 {
                return left;
            }
            tokio::task::yield_now().await;
        }
    });
    let left = left.await.expect("the others are finished");
    assert_eq!(left[0]["branch"], branch(UNCLEAR).to_string());
    let keys = bank.get("/v1/keys").await;
    assert_eq!(keys["total"], 1, "{keys}");
    assert_eq!(keys["keys"][0]["key"], format!("k{COMMITTED}"));
}

/// After a restart nobody knows whether the call of a step had left ahead; unless it could not, and
/// then it waits for its turn as ever.
#[tokio::test]
async fn what_may_have_left_ahead_is_in_doubt() {
    let (world, service) = over(|_| (503, json!("later"))).await;
    let mut uses = step("pay");
    uses["do"] = json!("POST /pay/{{book.id}}");
    let branches = [("o1", step("pay"), "in-doubt"), ("o2", uses, "waiting")];
    for (gid, second, _) in &branches {
        let body = json!({ "gid": gid, "wait": "none", "branches": [step("book"), second] });
        world.post("/v1/transactions", body).await;
    }
    service.hears(2).await;
    for (gid, ..) in &branches {
        let shown = world.get(&format!("/v1/transactions/{gid}")).await;
        assert_eq!(state(&shown, "pay"), "waiting", "{}", shown.body);
    }
    let world = world.restart().await;
    for (gid, _, expected) in &branches {
        let shown = world.get(&format!("/v1/transactions/{gid}")).await;
        assert_eq!(state(&shown, "pay"), *expected, "{}", shown.body);
    }
}
