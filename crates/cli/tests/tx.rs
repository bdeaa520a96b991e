//! `tx` for steps, deliveries and open transactions, against a node whose answers are given.

mod dry_run;

use std::{io::Write as _, process::Stdio};

use serde_json::{Value, json};

use crate::{ended, handfast, node::node_says, run};

pub fn transaction(outcome: &str, state: &str, branches: Value) -> Value {
    json!({ "gid": "o-1", "outcome": outcome, "state": state, "stuck": true,
            "branches": branches })
}

/// `book` is done, `pay` is stuck, `seat` and `tell` wait.
fn running() -> Value {
    let branch = |name: &str, kind: &str, after: &[&str], state: &str| {
        json!({ "name": name, "resource": "svc", "kind": kind, "after": after, "state": state,
                "id": format!("hf1_c_1_1_{name}") })
    };
    let mut branches = vec![
        branch("book", "step", &[], "done"),
        branch("pay", "step", &["book"], "stuck"),
        branch("seat", "prepare", &["book", "pay"], "waiting"),
        branch("tell", "deliver", &[], "waiting"),
    ];
    branches[0]["output"] = json!({ "id": "x".repeat(100) });
    branches[1]["last_answer"] = json!("it answered\n401 \u{1b}[31m");
    let mut whole = transaction("unknown", "running", Value::Array(branches));
    whole["timeline"] = json!([
        { "at_ms": 1_000, "position": 1, "what": "begun" },
        { "at_ms": 1_250, "what": "asked", "branch": "book", "detail": "do, took 9 ms" },
        { "at_ms": 3_250, "position": 2, "what": "done", "branch": "book" },
    ]);
    whole
}

#[track_caller]
pub fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn a_stuck_step_is_shown_with_what_can_be_said_of_it() {
    let (url, _asked) = node_says(vec![(200, running())]);
    let (code, out, err) = run(&["tx", "show", "o-1", "--server", &url]);
    assert_eq!((code, err.as_str()), (0, ""));
    holds(
        &out,
        &[
            "o-1  running, STUCK\n",
            "Next: still to come: seat, the decision; after one to commit: tell.\n",
            "Branch pay is STUCK and waits for a person.\n",
            "Its last answer: it answered 401  [31m\n",
            "handfast tx retry o-1 pay\n",
            "handfast tx edit o-1 pay --do 'POST /…' --body '…' --undo 'DELETE /…' --reason '…'\n",
            "handfast tx resolve o-1 pay --done --reason '…'\n",
            "handfast tx resolve o-1 pay --undone --reason '…'\n",
            "handfast tx abort o-1 --reason '…'\n",
            // What comes right before it, not all that comes before it.
            "seat    prepare  pay    svc       waiting",
            "00:00:01.250  +250 ms  -       asked  book    do, took 9 ms\n",
            "00:00:03.250  +2.0 s   #2      done   book\n",
        ],
    );
    assert!(out.contains("xxx…") && !out.contains(&"x".repeat(100)), "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
}

#[test]
fn tries_that_were_answered_the_same_are_told_once() {
    let mut whole = running();
    let tried = |at: u64, answer: &str| {
        json!({ "at_ms": at, "what": "asked", "branch": "pay",
                "detail": format!("do, took {at} ms: {answer}") })
    };
    let tries = (1..=6).map(|at| tried(at * 1_000, "503"));
    whole["timeline"] = tries.chain([tried(7_000, "401"), tried(8_000, "401")]).collect();
    let (url, _asked) = node_says(vec![(200, whole)]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(
        &out,
        &[
            "00:00:01.000  -       -       asked            pay     \
             do, took 1000 ms: 503\n",
            " 4 more the same  pay\n00:00:06.000  +5.0 s  -",
            "00:00:07.000  +1.0 s  -       asked            pay     \
             do, took 7000 ms: 401\n\
             00:00:08.000  +1.0 s  -",
        ],
    );
}

#[test]
fn an_abort_says_what_was_undone_and_what_was_not() {
    let branches = json!([
        { "name": "a", "resource": "r", "kind": "step", "id": "1", "state": "undone" },
        { "name": "b", "resource": "r", "kind": "step", "id": "2", "state": "in-doubt" },
        { "name": "c", "resource": "r", "kind": "step", "id": "3", "after": ["a", "b"],
          "state": "done" },
        { "name": "d", "resource": "r", "kind": "step", "id": "4", "after": ["b"],
          "state": "in-doubt" },
    ]);
    let (url, _asked) = node_says(vec![
        (200, transaction("aborted", "aborting", branches.clone())),
        (200, transaction("aborted", "aborted", branches)),
    ]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(
        &out,
        &[
            "  Undone: a.\n  Done, and nothing undoes it: c.\n  To be undone: b, d.\n",
            "Next: branch b is undone after d.\n",
            "Next: branch d is being undone at r.\n",
        ],
    );
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(&out, &["Some of it had no undo.", "May be done, and nothing undoes it: b, d.\n"]);
    assert!(!out.contains("nothing of it is left") && !out.contains("Next:"), "{out}");
}

#[test]
fn mixed_says_what_is_left_to_do() {
    let branch = |state| json!([{ "name": "a", "resource": "r", "id": "1", "state": state }]);
    let (url, _asked) = node_says(vec![
        (200, transaction("unknown", "mixed", branch("heuristic"))),
        (200, transaction("unknown", "mixed", branch("resolved"))),
    ]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(&out, &["by someone else.", "`handfast tx resolve o-1 a --outcome … --reason …`"]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(&out, &["an operator said so.", "Next: nothing"]);
}

/// `book` can be undone, `pay` cannot.
fn with_calls() -> Value {
    let mut whole = running();
    let call = |verb: &str, call: &str| json!({ "verb": verb, "call": call });
    whole["branches"][0]["calls"] = json!([call("do", "POST /b"), call("undo", "DELETE /b")]);
    whole["branches"][1]["calls"] = json!([
        { "verb": "do", "call": "POST /pay", "headers": ["x-key"], "body": { "n": 1 } }
    ]);
    whole
}

#[test]
fn where_a_call_ended_its_tries_are_told() {
    let mut whole = running();
    whole["saga"] = "order@3".into();
    whole["timeline"] = json!([
        { "at_ms": 1_000, "position": 2, "what": "done", "branch": "book", "call": "do",
          "tries": 3, "took_ms": 12, "detail": "{\"id\":7}" },
        { "at_ms": 1_000, "position": 3, "what": "undone", "branch": "book", "call": "undo",
          "tries": 1, "took_ms": 0 },
    ]);
    let (url, _asked) = node_says(vec![(200, whole)]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(
        &out,
        &[
            "  A run of the saga order@3.\n",
            "done    book    do, 3 tries, the last took 12 ms: {\"id\":7}\n",
            "undone  book    undo, took 0 ms\n",
        ],
    );
}

#[test]
fn runs_of_a_saga_are_listed() {
    let line = json!({ "gid": "r1", "state": "running", "resources": ["svc"], "changed_at_ms": 1,
                       "saga": "order@3" });
    let (url, asked) = node_says(vec![(200, json!({ "transactions": [line] }))]);
    let (code, out, _) = run(&["tx", "ls", "--saga", "order", "--server", &url]);
    assert_eq!(code, 0);
    holds(&out, &["RESOURCES  SAGA\n", "svc        order@3\n"]);
    assert!(asked.recv().unwrap().0.contains("saga=order"), "it is asked for");
}

#[test]
fn what_is_stuck_is_listed_with_its_branch_and_last_answer() {
    let line = |gid: &str, stuck_at: Value| {
        json!({ "gid": gid, "state": "aborting", "resources": ["svc"], "changed_at_ms": 1,
                "stuck": true, "stuck_at": stuck_at })
    };
    let at = |branch: &str, said: &str| {
        let resource = "svc";
        json!({ "branch": branch, "resource": resource, "last_answer": said })
    };
    let long = format!("HTTP 400:\n{}", "x".repeat(100));
    let asking = json!([{ "resource": "orders", "last_answer": "404" }]);
    let lines = [
        line("o-1", json!([at("pay", &long), at("book", "gone")])),
        line("o-2", asking),
        line("o-3", json!([])),
    ];
    let (url, _asked) = node_says(vec![(200, json!({ "transactions": lines }))]);
    let (code, out, _) = run(&["tx", "ls", "--state", "stuck", "--server", &url]);
    assert_eq!(code, 0);
    let cut = format!("pay, and 1 more  HTTP 400: {}…\n", "x".repeat(50));
    holds(&out, &["SAGA  STUCK AT         LAST ANSWER\n", &cut, "(asking orders)  404\n"]);
}

#[test]
fn an_undo_that_names_what_is_missing_is_not_offered_a_retry() {
    let branch = |name: &str, kind: &str| {
        json!({ "name": name, "resource": "r", "kind": kind, "id": "1", "state": "stuck",
                "last_answer": "it could not be called: `{{book.id}}` is missing" })
    };
    let branches = json!([branch("a", "step"), branch("b", "prepare"), branch("c", "deliver")]);
    let (url, _asked) = node_says(vec![(200, transaction("aborted", "aborting", branches))]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    assert!(!out.contains("tx retry"), "{out}");
    assert_eq!(out.matches("tx edit o-1 --branch-file FILE --reason '…'").count(), 2, "{out}");
}

#[test]
fn what_waits_for_a_word_says_how_long() {
    let at = |ms: u64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap() + ms
    };
    let mut held = transaction("unknown", "held", json!([]));
    held["deadline_at_ms"] = at(7_300_000).into();
    let mut asking = transaction("unknown", "running", json!([]));
    asking["asking"] = json!({ "resource": "shop", "attempts": 3, "last_answer": "401\n",
                               "next_attempt_at_ms": 1 });
    let (url, _asked) = node_says(vec![(200, held), (200, asking)]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(
        &out,
        &["Next: `handfast tx commit o-1` or", "Next: not decided by then, its time is over in 2"],
    );
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    let asks = "shop is asked whether its caller's local transaction committed; its last answer: \
                401 ; again now.\n";
    holds(&out, &[asks]);
}

#[test]
fn one_branch_is_retried() {
    let (url, asked) = node_says(vec![(200, running())]);
    assert_eq!(run(&["tx", "retry", "o-1", "pay", "--server", &url]).0, 0);
    assert_eq!(asked.recv().unwrap().1, json!({ "branch": "pay", "reason": "" }));
}

#[test]
fn an_edit_keeps_the_place_and_forgets_no_undo() {
    let directory = tempfile::tempdir().unwrap();
    let (url, asked) = node_says(vec![(200, running())]);
    let node = ["--reason", "moved", "--server", &url];
    let edit = |args: &[&str]| run(&[&["tx", "edit", "o-1"], args, &node].concat());
    let (code, _, err) = edit(&["pay", "--do", "POST /x", "--no-body"]);
    assert_eq!(code, 2);
    assert!(err.contains("--undo") && err.contains("--no-undo"), "{err}");
    let (code, _, err) = edit(&["tell", "--do", "POST /x"]);
    assert_eq!(code, 2);
    assert!(err.contains("--body") && err.contains("--branch-file"), "{err}");
    assert_eq!(edit(&["seat", "--do", "POST /x"]).0, 2);
    assert_eq!(edit(&["nobody", "--do", "POST /x"]).0, 6);
    assert_eq!(edit(&["pay", "--do", "POST /x", "--no-undo", "--body", "{"]).0, 2);
    for _ in 0..5 {
        assert!(asked.recv().unwrap().0.starts_with("GET "), "nothing was told");
    }
    let flags = ["--undo", "DELETE /x", "--absent-is-undone", "--body", r#"{ "n": 1 }"#];
    assert_eq!(edit(&[&["pay", "--do", "POST /x"], &flags[..]].concat()).0, 0);
    assert!(asked.recv().unwrap().0.starts_with("GET "));
    let (head, body) = asked.recv().unwrap();
    assert!(head.starts_with("POST /v1/transactions/o-1:edit "), "{head}");
    let branch = json!({ "name": "pay", "resource": "svc", "kind": "step",
        "do": { "call": "POST /x", "body": { "n": 1 } }, "undo": { "call": "DELETE /x" },
        "absent_is_undone": true });
    assert_eq!(body, json!({ "branch": branch, "reason": "moved" }));
    let file = directory.path().join("branch.yaml");
    std::fs::write(&file, "name: seat\nresource: svc\ntry: POST /t\n").unwrap();
    assert_eq!(edit(&["--branch-file", file.to_str().unwrap()]).0, 0);
    assert_eq!(asked.recv().unwrap().1["branch"]["try"], json!({ "call": "POST /t" }));
}

#[test]
fn many_are_told_page_by_page_and_only_with_yes() {
    let pages = |dry: bool| {
        let first = json!({ "taken": ["a"], "refused": { "b": "it\nis aborted" }, "next": "7" });
        [(200, first), (200, json!({ "taken": [if dry { "c" } else { "d" }] }))]
    };
    let filter = ["--state", "stuck", "--resource", "svc", "--prefix", "order-"];
    let many = |verb: &str, url: &str, flags: &[&str]| {
        run(&[&["tx", verb, "--reason", "r", "--server", url], &filter[..], flags].concat())
    };
    for verb in ["retry", "abort", "commit"] {
        let (url, asked) = node_says([pages(true), pages(false)].concat());
        // Tests have no terminal to be asked at.
        let (code, out, err) = many(verb, &url, &[]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains("2 transactions") && err.contains("--yes"), "{err}");
        let (head, first) = asked.recv().unwrap();
        assert!(head.starts_with(&format!("POST /v1/transactions:{verb} ")), "{head}");
        let filter =
            json!({ "state": "stuck", "resource": "svc", "prefix": "order-", "limit": 500 });
        assert_eq!(first, json!({ "filter": filter, "reason": "r", "dry_run": true }));
        assert_eq!(asked.recv().unwrap().1["filter"]["after"], "7");
        let (code, out, _) = many(verb, &url, &["--yes"]);
        assert_eq!(code, 1, "one refused");
        holds(&out, &[&format!("{verb}: 2 took it, 1 not\n"), "b          it is aborted\n"]);
        assert_eq!(asked.recv().unwrap().1.get("dry_run"), None);
    }
    let (url, _asked) = node_says(pages(true).to_vec());
    let (code, out, _) = many("abort", &url, &["--dry-run"]);
    assert_eq!(code, 1);
    holds(&out, &["abort: 2 would take it, 1 not\n  a\n  c\n", "b          it is aborted\n"]);
    let (url, _asked) = node_says(vec![(200, json!({ "taken": ["a"], "already": ["b", "c"] }))]);
    let (code, out, _) = many("abort", &url, &["--dry-run"]);
    assert_eq!((code, out.as_str()), (0, "abort: 1 would take it, 2 already aborted\n  a\n"));
    let (url, _asked) = node_says(vec![(200, json!({ "taken": [] }))]);
    let (code, out, err) = many("abort", &url, &[]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "abort: 0 would take it\n", ""));
    let mixed = json!({ "a": "It would be\nMIXED: part of it happened." });
    let looked = json!({ "dry_run": true, "taken": ["a", "b"], "warnings": &mixed });
    let (url, _asked) = node_says(vec![(200, looked)]);
    let (code, out, _) = many("abort", &url, &["--dry-run"]);
    let said = "abort: 2 would take it, of which 1 would end mixed\n  \
                a: It would be MIXED: part of it happened.\n  b\n";
    assert_eq!((code, out.as_str()), (0, said));
    let (_, _, err) = many("abort", &url, &[]);
    holds(&err, &["2 transactions, of which 1 would end mixed; nothing was told"]);
    let (_, out, _) = many("abort", &url, &["--dry-run", "--json"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&out["dry_run"], &out["warnings"]), (&json!(true), &mixed));
}

#[test]
fn many_are_resolved_by_what_is_stuck_or_by_name() {
    let (url, asked) = node_says(vec![(200, json!({ "taken": ["a"] }))]);
    let resolve = |flags: &[&str]| {
        let word = ["tx", "resolve", "--reason", "seen", "--server", &url];
        run(&[&word[..], flags].concat())
    };
    let (code, out, _) = resolve(&["--state", "stuck", "--done", "--dry-run"]);
    assert_eq!((code, out.as_str()), (0, "resolve: 1 would take it\n  a\n"));
    let (head, body) = asked.recv().unwrap();
    assert!(head.starts_with("POST /v1/transactions:resolve "), "{head}");
    let filter = |limit: u32| json!({ "state": "stuck", "limit": limit });
    assert_eq!(
        body,
        json!({ "filter": filter(500), "outcome": "committed", "reason": "seen", "dry_run": true })
    );
    assert_eq!(resolve(&["--state", "stuck", "--undone", "--branch", "pay", "--yes"]).0, 0);
    assert_eq!(
        asked.recv().unwrap().1,
        json!({ "filter": filter(100), "branch": "pay", "outcome": "aborted", "reason": "seen" })
    );
    // One and many are not mixed up, and one needs its branch.
    for wrong in [
        &["o-1", "--done"][..],
        &["o-1", "pay", "--state", "stuck", "--done"],
        &["o-1", "pay", "--branch", "pay", "--done"],
        &["--state", "stuck"],
        &["--done"],
    ] {
        assert_eq!(resolve(wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn one_edit_is_given_to_many() {
    let directory = tempfile::tempdir().unwrap();
    let (url, asked) = node_says(vec![(200, json!({ "taken": ["a"] }))]);
    let edit = |flags: &[&str]| {
        let word = ["tx", "edit", "--reason", "moved", "--server", &url];
        run(&[&word[..], flags, &["--state", "stuck"]].concat())
    };
    let at = ["--branch", "pay", "--resource", "svc", "--do", "POST /x"];
    let say = |flags: &[&str]| edit(&[&at[..], flags].concat());
    assert_eq!(say(&["--no-body", "--undo", "DELETE /x", "--yes"]).0, 0);
    let (head, body) = asked.recv().unwrap();
    assert!(head.starts_with("POST /v1/transactions:edit "), "{head}");
    let filter = json!({ "state": "stuck", "resource": "svc", "limit": 100 });
    let step = json!({ "name": "pay", "resource": "svc", "kind": "step",
        "do": { "call": "POST /x" }, "undo": { "call": "DELETE /x" } });
    assert_eq!(body, json!({ "filter": filter, "branch": step, "reason": "moved" }));
    assert_eq!(say(&["--body", "1", "--yes"]).0, 0);
    let delivery = json!({ "name": "pay", "resource": "svc", "kind": "deliver",
        "do": { "call": "POST /x", "body": 1 } });
    assert_eq!(asked.recv().unwrap().1["branch"], delivery);
    let file = directory.path().join("branch.yaml");
    std::fs::write(&file, "name: seat\nresource: svc\ntry: POST /t\n").unwrap();
    assert_eq!(edit(&["--branch-file", file.to_str().unwrap(), "--dry-run"]).0, 0);
    assert_eq!(asked.recv().unwrap().1["branch"]["try"], json!({ "call": "POST /t" }));
    for wrong in [
        &["--do", "POST /x", "--no-body"][..],
        &["--branch", "pay", "--do", "POST /x", "--no-body"],
        &["--branch", "pay", "--resource", "svc", "--do", "POST /x"],
        &["o-1", "pay", "--do", "POST /x", "--no-body"],
    ] {
        assert_eq!(edit(wrong).0, 2, "{wrong:?}");
    }
}

/// As [`run`], with this on stdin.
fn fed(args: &[&str], stdin: &str) -> (i32, String, String) {
    let mut command = handfast(args);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    ended(child.wait_with_output().unwrap())
}

#[test]
fn begin_reads_yaml_or_json_and_its_exit_code_is_the_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order.yaml");
    let yaml =
        "gid: o-1\nbranches:\n  - { name: a, resource: r, sql: [[UPDATE t, [1], { rows: 1 }]] }\n";
    let sent = json!([{ "name": "a", "resource": "r", "sql": [["UPDATE t", [1], { "rows": 1 }]] }]);
    let path = file.to_str().unwrap();
    let of = |outcome, state| transaction(outcome, state, json!([]));
    for (content, answer, flags, expected) in [
        (yaml, of("committed", "committed"), &[][..], 0),
        (yaml, of("aborted", "aborted"), &[], 1),
        (yaml, of("unknown", "running"), &[], 3),
        (yaml, of("unknown", "running"), &["--wait", "none"], 0),
        (&yaml.replace("gid: o-1", "gid: o-1\nhold: true"), of("unknown", "held"), &[], 0),
        (&yaml.replace("gid: o-1", "gid: o-1\nopen: true"), of("unknown", "running"), &[], 0),
        (r#"{ "gid": "o-1", "branches": [] }"#, of("committed", "committed"), &[], 0),
    ] {
        std::fs::write(&file, content).unwrap();
        let (url, asked) = node_says(vec![(200, answer)]);
        let args = [&["tx", "begin", path, "--server", &url], flags].concat();
        let (code, out, err) = run(&args);
        assert_eq!(code, expected, "{content} {flags:?}: {out}{err}");
        let (head, body) = asked.recv().unwrap();
        assert!(head.starts_with("POST /v1/transactions "), "{head}");
        assert_eq!(body["gid"], "o-1");
        assert!(content.starts_with('{') || body["branches"] == sent, "{body}");
        assert_eq!(body.get("wait").is_some(), !flags.is_empty(), "{body}");
    }
    let flow = "{gid: o-1, branches: [{name: a, resource: r, sql: [[UPDATE t, [1], {rows: 1}]]}]}";
    let (url, asked) = node_says(vec![(200, of("committed", "committed"))]);
    assert_eq!(fed(&["tx", "begin", "-", "--server", &url], flow).0, 0);
    assert_eq!(asked.recv().unwrap().1["branches"], sent);
    let (_, _, err) = fed(&["tx", "begin", "-"], "{gid: o-1, brunches: []}");
    assert!(err.contains("brunches") && err.contains("(read as YAML)"), "{err}");
    let json = directory.path().join("order.json");
    std::fs::write(&json, "{gid: o-1, brunches: []}").unwrap();
    let (_, _, err) = run(&["tx", "begin", json.to_str().unwrap()]);
    assert!(err.contains("key must be a string") && err.contains("(read as JSON)"), "{err}");
    std::fs::write(&file, "gid: o-1\nbrunches: []\n").unwrap();
    let (code, _, err) = run(&["tx", "begin", path, "--server", "http://127.0.0.1:1"]);
    assert_eq!(code, 2);
    assert!(err.contains("line 2") && err.contains("brunches"), "{err}");
}

#[test]
fn add_waits_for_a_step_and_shows_its_output() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("book.json");
    std::fs::write(
        &file,
        r#"{ "name": "book", "resource": "svc", "kind": "step", "do": "POST /b" }"#,
    )
    .unwrap();
    let (url, asked) = node_says(vec![(200, running())]);
    let args = ["tx", "add", "o-1", file.to_str().unwrap(), "--server", &url];
    let (code, out, err) = run(&args);
    assert_eq!((code, err.as_str()), (0, ""));
    let (head, body) = asked.recv().unwrap();
    assert!(head.starts_with("POST /v1/transactions/o-1/branches "), "{head}");
    assert_eq!(body["do"], json!({ "call": "POST /b" }));
    holds(&out, &["hf1_c_1_1_book  {\"id\":\"xxx"]);
    let (url, _asked) = node_says(vec![(200, transaction("aborted", "aborting", json!([])))]);
    let args = ["tx", "add", "o-1", file.to_str().unwrap(), "--server", &url];
    assert_eq!(run(&args).0, 1);
}
