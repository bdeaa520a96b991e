//! `saga`: files are checked and drawn without a node; the rest is asked of one.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{node::node, run};

const GOOD: &str = "\
name: trip
version: 2
deadline_ms: 9
branches:
  - { name: book, resource: r, kind: step, do: POST /b, undo: DELETE /b }
";

fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path: PathBuf = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().into()
}

fn definition() -> Value {
    json!({ "name": "trip", "version": 2, "branches": [
        { "name": "book", "resource": "r", "kind": "step", "do": "POST /b", "undo": "DELETE /b" },
    ] })
}

fn kept() -> Value {
    json!({ "definition": definition(), "applied_at_ms": 0, "findings": [
        { "level": "warning", "code": "no_deadline", "message": "no deadline", "better": "one" },
    ] })
}

#[test]
fn lint_exits_with_1_for_errors_and_with_strict_for_warnings() {
    let directory = tempfile::tempdir().unwrap();
    let good = file(&directory, "good.yaml", GOOD);
    let (code, out, err) = run(&["saga", "lint", &good, "--strict"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let warned = file(&directory, "warned.yaml", &GOOD.replace("deadline_ms: 9\n", ""));
    let (code, out, _) = run(&["saga", "lint", &warned]);
    assert_eq!(code, 0);
    assert!(out.contains("0 errors, 1 warnings") && out.contains("[no_deadline]"), "{out}");
    assert!(out.contains("better: "), "{out}");
    assert_eq!(run(&["saga", "lint", &warned, "--strict"]).0, 1);
    let wrong = file(&directory, "wrong.yaml", &GOOD.replace("do: POST /b", "do: b"));
    let (code, out, _) = run(&["saga", "lint", &wrong, "--json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &found[0]["code"], &found[0]["branch"]),
        (1, &json!("bad_branch"), &json!("book"))
    );
    let unreadable = file(&directory, "unreadable.yaml", &GOOD.replace("version: 2", "version: x"));
    let (code, out, _) = run(&["saga", "lint", &unreadable]);
    assert_eq!(code, 1);
    assert!(out.contains("line 2, column"), "{out}");
    assert_eq!(run(&["saga", "lint", "nowhere.yaml"]).0, 2);
}

#[test]
fn apply_sends_what_was_read_and_only_if_it_can_run() {
    let directory = tempfile::tempdir().unwrap();
    let (url, asked) = node(200, &kept());
    let wrong = file(&directory, "wrong.yaml", &GOOD.replace("do: POST /b", "do: b"));
    let (code, _, err) = run(&["saga", "apply", &wrong, "--server", &url]);
    assert_eq!(code, 2);
    assert!(err.contains("[bad_branch]"), "{err}");
    assert!(err.starts_with("error: the saga cannot run\n  error "), "{err}");
    let good = file(&directory, "good.yaml", GOOD);
    let (code, out, err) = run(&["saga", "apply", &good, "--server", &url]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("trip 2 is kept") && out.contains("[no_deadline]"), "{out}");
    let (head, body) = asked.recv().unwrap();
    assert!(head.starts_with("PUT /v1/sagas/trip "), "{head}");
    assert_eq!(body["branches"][0]["undo"], json!({ "call": "DELETE /b" }));
}

#[test]
fn ls_and_show_are_for_people() {
    let line =
        json!({ "name": "trip", "versions": [1, 2], "applied_at_ms": 0, "description": "d" });
    let (url, _asked) = node(200, &json!([line]));
    let (code, out, _) = run(&["saga", "ls", "--server", &url]);
    assert_eq!(code, 0);
    assert!(out.starts_with("NAME  VERSION  KEPT") && out.contains("trip  2        2"), "{out}");
    let (url, asked) = node(200, &kept());
    let (code, out, _) = run(&["saga", "show", "trip", "--version", "2", "--server", &url]);
    assert_eq!(code, 0);
    assert!(out.contains("book    step  r                POST /b  DELETE /b"), "{out}");
    assert!(asked.recv().unwrap().0.starts_with("GET /v1/sagas/trip?version=2 "));
}

#[test]
fn run_takes_its_input_from_the_command_line_or_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let input = file(&directory, "input.json", r#"{ "city": "Rome" }"#);
    let begun = json!({ "gid": "t-1", "outcome": "unknown", "state": "running", "branches": [] });
    let (url, asked) = node(202, &begun);
    let args = ["saga", "run", "trip", "--gid", "t-1", "--server", &url, "--input"];
    for input in [&format!("@{input}"), r#"{ "city": "Rome" }"#] {
        let (code, out, err) = run(&[&args[..], &[input]].concat());
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("t-1  running"), "{out}");
        let (head, body) = asked.recv().unwrap();
        assert!(head.starts_with("POST /v1/sagas/trip:run "), "{head}");
        assert_eq!(body, json!({ "gid": "t-1", "input": { "city": "Rome" }, "wait": "none" }));
    }
    assert_eq!(run(&[&args[..], &["{"]].concat()).0, 2);
    // Who waits is told what is not known.
    assert_eq!(run(&[&args[..], &["{}", "--wait=1"]].concat()).0, 3);
    let done =
        json!({ "gid": "t-1", "outcome": "committed", "state": "committed", "branches": [] });
    let (url, asked) = node(200, &done);
    assert_eq!(run(&["saga", "run", "trip", "--wait", "--server", &url]).0, 0);
    assert_eq!(asked.recv().unwrap().1.get("wait"), None);
}

#[test]
fn pictures_are_drawn_of_files_of_what_is_kept_and_of_transactions() {
    let directory = tempfile::tempdir().unwrap();
    let good = file(&directory, "good.yaml", GOOD);
    let (code, out, _) = run(&["saga", "graph", &good]);
    assert_eq!(code, 0);
    assert!(out.starts_with("<svg ") && out.contains("trip 2"), "{out}");
    let (url, _asked) = node(200, &kept());
    let (code, out, _) = run(&["saga", "graph", "trip", "--server", &url]);
    assert_eq!((code, out.contains("trip 2")), (0, true));
    let begun = json!({ "gid": "t-1", "outcome": "unknown", "state": "running", "branches": [
        { "name": "book", "resource": "r", "kind": "step", "id": "x", "state": "working" } ] });
    let (url, _asked) = node(200, &begun);
    let picture = directory.path().join("out.svg");
    let file = picture.to_str().unwrap();
    let drawn = |file: &Path| std::fs::read_to_string(file).unwrap().contains("node busy");
    let (code, out, err) = run(&["saga", "graph", "--tx", "t-1", "-o", file, "--server", &url]);
    assert_eq!((code, out.as_str(), err.contains("out.svg")), (0, "", true));
    assert!(drawn(&picture));
    std::fs::remove_file(&picture).unwrap();
    let (code, out, _) = run(&["tx", "show", "t-1", "--graph", file, "--server", &url]);
    assert_eq!((code, out.contains("t-1  running"), drawn(&picture)), (0, true, true));
}
