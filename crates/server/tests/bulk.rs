//! One word to many transactions, and where those that wait for a word are found.

use serde_json::{Value as Json, json};

use crate::{
    requests::{Answer, World},
    service::Service,
    services::{AMPLE, ends, shows},
    steps::step,
};

/// Two services, of which one knows no call but `/book` and the other none at all.
async fn two_services() -> (World, Service) {
    let shop = Service::start(|heard| match heard.call.as_str() {
        "POST /book" | "DELETE /book" => (200, json!({ "id": 7 })),
        _ => (404, json!("no such path")),
    })
    .await;
    let mail = Service::start(|_| (404, json!("no such path"))).await;
    let world = World::new(&[("resources.svc.url", &shop.url), ("resources.mail.url", &mail.url)]);
    (world, shop)
}

async fn begins(world: &World, gid: &str, branches: Json) {
    let body = json!({ "gid": gid, "wait": "none", "branches": branches });
    let begun = world.post("/v1/transactions", body).await;
    assert!(begun.status.is_success(), "{}", begun.body);
}

fn delivery(name: &str, resource: &str) -> Json {
    json!({ "name": name, "resource": resource, "kind": "deliver", "do": "POST /told",
        "retry": { "first_ms": 20, "cap_ms": 60_000 } })
}

fn state<'a>(shown: &'a Json, branch: &str) -> &'a str {
    let mut branches = shown["branches"].as_array().unwrap().iter();
    branches.find(|one| one["name"] == branch).unwrap()["state"].as_str().unwrap()
}

/// Waits until all of these branches are stuck, and lists know it: they see what is synced, which
/// may be a moment after memory shows it.
async fn gets_stuck(world: &World, gid: &str, branches: &[&str]) {
    let all = |shown: &Json| {
        let Some(timeline) = shown["timeline"].as_array() else { return false };
        branches.iter().all(|name| {
            let is_told =
                timeline.iter().any(|told| told["what"] == "stuck" && told["branch"] == *name);
            is_told && state(shown, name) == "stuck"
        })
    };
    shows(world, gid, all).await;
}

async fn says(world: &World, verb: &str, word: &Json) -> Answer {
    let answer = world.post(&format!("/v1/transactions:{verb}"), word).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    answer
}

fn taken(answer: &Answer) -> Vec<&str> {
    let mut taken: Vec<_> = answer.body["taken"].as_array().unwrap().iter().collect();
    taken.sort_unstable_by_key(|gid| gid.to_string());
    taken.into_iter().map(|gid| gid.as_str().unwrap()).collect()
}

async fn recorded(world: &World, gid: &str) -> Vec<String> {
    let shown = world.get(&format!("/v1/transactions/{gid}")).await;
    let timeline = shown.body["timeline"].as_array().unwrap().iter();
    let recorded = timeline.filter(|entry| entry.get("position").is_some());
    recorded.map(|entry| format!("{} {}", entry["what"], entry["detail"])).collect()
}

#[tokio::test]
async fn one_edit_mends_all_that_it_fits() {
    let (world, shop) = two_services().await;
    let other = json!({ "name": "pay", "resource": "mail", "kind": "step", "do": "POST /pay" });
    for gid in ["a1", "a2"] {
        begins(&world, gid, json!([step("book"), step("pay")])).await;
    }
    begins(&world, "a3", json!([step("book"), other])).await;
    begins(&world, "a4", json!([step("book"), step("paid")])).await;
    for (gid, branch) in [("a1", "pay"), ("a2", "pay"), ("a3", "pay"), ("a4", "paid")] {
        gets_stuck(&world, gid, &[branch]).await;
    }
    let mut pay = step("pay");
    pay["do"] = json!("POST /book");
    let word = |dry_run: bool, reason: &str| {
        json!({ "filter": { "state": "stuck", "prefix": "a" }, "branch": pay,
            "reason": reason, "dry_run": dry_run })
    };
    let bad = world.post("/v1/transactions:edit", word(false, " ")).await;
    assert_eq!((bad.status.as_u16(), bad.code()), (422, "bad_reason"), "{}", bad.body);

    let before = [recorded(&world, "a1").await, recorded(&world, "a3").await];
    let dry = says(&world, "edit", &word(true, "moved")).await;
    assert_eq!(taken(&dry), ["a1", "a2"], "{}", dry.body);
    assert_eq!([recorded(&world, "a1").await, recorded(&world, "a3").await], before);
    let done = says(&world, "edit", &word(false, "moved")).await;
    assert_eq!((&dry.body["dry_run"], done.body.get("dry_run")), (&json!(true), None));
    assert_eq!((taken(&done), &done.body["refused"]), (taken(&dry), &dry.body["refused"]));
    assert_eq!(
        done.body["refused"],
        json!({ "a3": "branch pay: an edit cannot change the branch's resource",
                "a4": "branch pay: the transaction has no such branch" })
    );
    for gid in ["a1", "a2"] {
        ends(&world, gid, "committed").await;
        let edits = recorded(&world, gid).await;
        assert!(edits.iter().any(|what| what.contains("moved (by anonymous)")), "{edits:?}");
    }
    assert_eq!(recorded(&world, "a3").await, before[1], "nothing is recorded there");
    let paid = shop.heard().into_iter().filter(|heard| heard.key.ends_with("_1/do"));
    assert_eq!(paid.filter(|heard| heard.call == "POST /book").count(), 2);
}

#[tokio::test]
async fn what_is_stuck_at_a_resource_is_resolved_and_nothing_else() {
    let (world, _shop) = two_services().await;
    begins(&world, "r1", json!([delivery("one", "svc"), delivery("two", "svc")])).await;
    begins(&world, "r2", json!([delivery("one", "svc"), delivery("two", "mail")])).await;
    begins(&world, "r3", json!([delivery("two", "mail")])).await;
    gets_stuck(&world, "r1", &["one", "two"]).await;
    gets_stuck(&world, "r2", &["one", "two"]).await;
    gets_stuck(&world, "r3", &["two"]).await;
    let word = |filter: Json, dry_run: bool| {
        json!({ "filter": filter, "outcome": "committed", "reason": "seen there",
            "dry_run": dry_run })
    };
    let at_svc = json!({ "state": "stuck", "resource": "svc" });
    let dry = says(&world, "resolve", &word(at_svc.clone(), true)).await;
    assert_eq!(taken(&dry), ["r1", "r2"], "{}", dry.body);
    gets_stuck(&world, "r1", &["one", "two"]).await;
    let done = says(&world, "resolve", &word(at_svc, false)).await;
    assert_eq!((taken(&done), done.body.get("refused")), (taken(&dry), dry.body.get("refused")));
    ends(&world, "r1", "committed").await;
    let shown = world.get("/v1/transactions/r2").await.body;
    assert_eq!((state(&shown, "one"), state(&shown, "two")), ("resolved", "stuck"), "{shown}");
    let records = recorded(&world, "r1").await;
    let said = records.iter().filter(|what| what.contains("seen there (by anonymous)"));
    assert_eq!(said.count(), 2, "{records:?}");

    let all = says(&world, "resolve", &word(json!({ "prefix": "r" }), false)).await;
    assert_eq!(taken(&all), ["r2", "r3"]);
    assert_eq!(all.body["refused"], json!({ "r1": "no branch of it is stuck" }));
    ends(&world, "r2", "committed").await;
    ends(&world, "r3", "committed").await;
}

/// Whoever says in the query that nothing is to happen must not find that all of it did.
#[tokio::test]
async fn that_it_is_only_a_look_may_stand_in_the_query_or_in_the_body() {
    let (world, _shop) = two_services().await;
    begins(&world, "q1", json!([step("book"), step("pay")])).await;
    begins(&world, "q2", json!([delivery("pay", "svc")])).await;
    gets_stuck(&world, "q1", &["pay"]).await;
    gets_stuck(&world, "q2", &["pay"]).await;
    let before = [recorded(&world, "q1").await, recorded(&world, "q2").await];
    let filter = json!({ "prefix": "q" });
    let word = json!({ "filter": filter, "reason": "r" });
    let resolve = json!({ "filter": filter, "reason": "r", "outcome": "aborted" });
    let edit = json!({ "filter": filter, "reason": "r", "branch": step("pay") });
    let (mut yes, mut no) = (word.clone(), word.clone());
    (yes["dry_run"], no["dry_run"]) = (json!(true), json!(false));
    for (verb, body) in [
        ("commit?dry_run=true", &word),
        ("abort?dry_run=true", &word),
        ("retry?dry_run=true", &yes),
        ("edit?dry_run=true", &edit),
        ("resolve?dry_run=true", &resolve),
    ] {
        let dry = says(&world, verb, body).await;
        assert_eq!(dry.body["dry_run"], true, "{verb}: {}", dry.body);
        // q1 would be undone; of q2 it was decided that it happens.
        let mixed: Vec<_> = dry.body["warnings"].as_object().into_iter().flatten().collect();
        let mixed: Vec<_> = mixed.iter().map(|(gid, _)| gid.as_str()).collect();
        let expected: &[&str] = if verb.starts_with("resolve") { &["q2"] } else { &[] };
        assert_eq!(mixed, expected, "{verb}: {}", dry.body);
    }
    for (verb, body) in [
        ("abort?dry_run=true", &no),
        ("abort?dry_run=false", &yes),
        ("abort?dry_run=yes", &word),
        ("abort?dry-run=true", &word),
        ("retry?limit=1", &word),
        ("edit?colour=red", &edit),
        ("resolve?dry_run", &resolve),
    ] {
        let bad = world.post(&format!("/v1/transactions:{verb}"), body).await;
        assert_eq!((bad.status.as_u16(), bad.code()), (400, "bad_query"), "{verb}: {}", bad.body);
    }
    assert_eq!([recorded(&world, "q1").await, recorded(&world, "q2").await], before);
    let done = says(&world, "resolve?dry_run=false", &resolve).await;
    assert_eq!((taken(&done), done.body.get("dry_run")), (vec!["q1", "q2"], None));
    assert_eq!(done.body.get("warnings"), None, "{}", done.body);
    ends(&world, "q1", "aborted").await;
    ends(&world, "q2", "mixed").await;
}

#[tokio::test]
async fn a_named_branch_of_many_is_declared_undone() {
    let (world, shop) = two_services().await;
    for gid in ["u1", "u2"] {
        begins(&world, gid, json!([step("book"), step("pay")])).await;
        gets_stuck(&world, gid, &["pay"]).await;
    }
    begins(&world, "u3", json!([delivery("tell", "svc")])).await;
    gets_stuck(&world, "u3", &["tell"]).await;
    let mut word = json!({ "filter": { "prefix": "u" }, "branch": "pay", "outcome": "unknown",
        "reason": "not there" });
    let bad = world.post("/v1/transactions:resolve", &word).await;
    assert_eq!((bad.status.as_u16(), bad.code()), (422, "bad_outcome"), "{}", bad.body);
    word["outcome"] = json!("aborted");
    let done = says(&world, "resolve", &word).await;
    assert_eq!(taken(&done), ["u1", "u2"], "{}", done.body);
    assert_eq!(done.body["refused"], json!({ "u3": "no branch pay is stuck" }));
    ends(&world, "u1", "aborted").await;
    ends(&world, "u2", "aborted").await;
    assert_eq!(shop.calls().iter().filter(|call| *call == "undo DELETE /book").count(), 2);
}

/// Where an operator is waited for, and not where else such a transaction has branches.
#[tokio::test]
async fn a_resource_says_how_many_are_stuck_there() {
    let (world, _shop) = two_services().await;
    let asks = |gid: &str| {
        json!({ "gid": gid, "open": true, "wait": "none", "deadline_ms": 1,
            "ask": { "resource": "mail", "call": "GET /mark" } })
    };
    begins(&world, "c1", json!([delivery("one", "svc"), delivery("two", "svc")])).await;
    begins(&world, "c2", json!([step("book"), delivery("two", "mail")])).await;
    assert_eq!(world.post("/v1/transactions", asks("c3")).await.status.as_u16(), 202);
    gets_stuck(&world, "c1", &["one", "two"]).await;
    gets_stuck(&world, "c2", &["two"]).await;
    shows(&world, "c3", |shown| shown["stuck"] == true).await;
    counts(&world, [("bank", 0), ("mail", 2), ("shard", 0), ("svc", 1)]).await;
    let metrics = world.get("/metrics").await.body.as_str().unwrap().to_owned();
    assert!(metrics.contains("handfast_resource_stuck{resource=\"mail\"} 2\n"), "{metrics}");
    let listed = world.get("/v1/transactions?state=stuck&resource=svc").await;
    let gids: Vec<_> = listed.body["transactions"].as_array().unwrap().iter().collect();
    assert_eq!((gids.len(), &gids[0]["gid"]), (1, &json!("c1")), "{}", listed.body);
    for gid in ["c1", "c2"] {
        let word = json!({ "filter": { "prefix": gid }, "outcome": "committed", "reason": "r" });
        says(&world, "resolve", &word).await;
        ends(&world, gid, "committed").await;
    }
    counts(&world, [("bank", 0), ("mail", 1), ("shard", 0), ("svc", 0)]).await;
}

/// Waits until so many are counted.
async fn counts(world: &World, stuck: [(&str, u64); 4]) {
    let wanted: Vec<_> = stuck.map(|(name, stuck)| (json!(name), json!(stuck))).into();
    let counted = async {
        loop {
            let resources = world.get("/v1/resources").await.body;
            let one = |one: &Json| (one["name"].clone(), one["stuck"].clone());
            let found: Vec<_> = resources.as_array().unwrap().iter().map(one).collect();
            if found == wanted {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AMPLE, counted).await.expect("they are counted");
}

/// What only memory knows has as many pages as it needs, and the log's pages follow.
#[tokio::test]
async fn all_pages_together_have_every_transaction_once() {
    let silent = Service::start(|_| (0, Json::Null)).await;
    let url = silent.url.trim_start_matches("service+").to_owned();
    let world = World::new(&[("resources.svc.url", &silent.url), ("resources.shard.url", &url)]);
    let keys = json!([{ "op": "add", "key": "k", "by": 1 }]);
    for number in 0..7 {
        let branch = json!({ "name": "b", "resource": "shard", "keys": keys });
        let body = json!({ "gid": format!("p{number}"), "wait": "none", "timeout_ms": 60_000,
            "branches": [branch] });
        assert_eq!(world.post("/v1/transactions", body).await.status.as_u16(), 202);
    }
    for number in 0..3 {
        begins(&world, &format!("s{number}"), json!([step("book")])).await;
        shows(&world, &format!("s{number}"), |shown| shown["branches"].is_array()).await;
    }
    let newest_first = ["p6", "p5", "p4", "p3", "p2", "p1", "p0"];
    for limit in [1, 2, 3, 7, 50] {
        assert_eq!(all(&world, "preparing", limit).await, newest_first, "{limit}");
        let open = all(&world, "open", limit).await;
        assert_eq!(open[..7], newest_first, "{limit}");
        assert_eq!(open[7..], ["s2", "s1", "s0"], "{limit}");
    }
    let bad = world.get("/v1/transactions?after=1.x").await;
    assert_eq!((bad.status.as_u16(), bad.code()), (400, "bad_query"));
    // A word to many goes the same way.
    let mut filter = json!({ "state": "preparing", "limit": 3 });
    let mut told = Vec::new();
    loop {
        let word = json!({ "filter": filter, "dry_run": true });
        let page = says(&world, "abort", &word).await.body;
        told.extend(page["taken"].as_array().unwrap().clone());
        match page.get("next") {
            Some(next) => filter["after"] = next.clone(),
            None => break,
        }
    }
    assert_eq!(told, newest_first);
}

/// Over all pages, of which none has more lines than it may.
async fn all(world: &World, state: &str, limit: usize) -> Vec<String> {
    let (mut gids, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/transactions?state={state}&limit={limit}{after}");
        let page = world.get(&path).await.body;
        let lines = page["transactions"].as_array().unwrap();
        assert!(lines.len() <= limit, "{page}");
        gids.extend(lines.iter().map(|line| line["gid"].as_str().unwrap().to_owned()));
        match page.get("next") {
            Some(next) => after = format!("&after={}", next.as_str().unwrap()),
            None => return gids,
        }
    }
}
