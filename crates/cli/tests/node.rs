//! `tx` and `resource` against a node whose answers are given.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
};

use serde_json::{Value, json};

use crate::{ended, handfast, run};

/// Gives the same answer to everybody; what was asked comes out of the channel.
pub fn node(status: u16, body: &Value) -> (String, Receiver<(String, Value)>) {
    node_says(vec![(status, body.clone())])
}

/// Gives these answers one after the other, and the last one to everybody after that.
pub fn node_says(answers: Vec<(u16, Value)>) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heard, asked) = channel();
    std::thread::spawn(move || {
        for (at, socket) in listener.incoming().enumerate() {
            let (status, body) = answers.get(at).or(answers.last()).unwrap();
            let heard_now = answer(socket.unwrap(), *status, &body.to_string());
            if heard.send(heard_now).is_err() {
                return;
            }
        }
    });
    (url, asked)
}

fn answer(mut socket: TcpStream, status: u16, body: &str) -> (String, Value) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "the request ended early: {head}");
    }
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
    let mut asked = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut asked).unwrap();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(text.as_bytes()).unwrap();
    (head, serde_json::from_slice(&asked).unwrap_or(Value::Null))
}

fn transaction(outcome: &str, state: &str) -> Value {
    json!({
        "gid": "order-42", "outcome": outcome, "state": state, "decided_at_ms": 1_000,
        "decide": "paxos",
        "branches": [
            { "name": "debit", "resource": "checking", "id": "hf1_c_1_1_0", "state": "finished" },
            { "name": "credit", "resource": "savings", "id": "hf1_c_1_1_1", "state": "stuck",
              "attempts": 7, "last_answer": "no such\nrole \u{1b}[31m", "next_attempt_at_ms": 9 },
        ],
        "timeline": [
            { "at_ms": 500, "what": "asked", "branch": "debit" },
            { "at_ms": 1_000, "position": 41, "what": "decided", "detail": "commit" },
        ],
    })
}

fn problem(status: u16) -> Value {
    json!({ "type": "/docs/errors.md#x", "status": status, "code": "a_code", "title": "a title",
            "detail": "a detail", "cure": "a cure" })
}

#[test]
fn show_says_what_it_means_and_what_happens_next() {
    let (url, asked) = node(200, &transaction("committed", "committing"));
    let (code, out, err) = run(&["tx", "show", "order-42", "--server", &url]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(asked.recv().unwrap().0.starts_with("GET /v1/transactions/order-42 "));
    for part in [
        "order-42  committing",
        "It will happen: commit was decided",
        "may decide without the node (paxos)",
        "Branch credit is STUCK",
        "handfast tx resolve order-42 credit --outcome committed --reason",
        "Its begin is not recorded; known since 1970-01-01 00:00:00.500 UTC",
        "+500 ms  #41     decided",
    ] {
        assert!(out.contains(part), "{part:?} is missing in:\n{out}");
    }
    assert!(!out.contains('\u{1b}'), "what a database says must not steer the terminal");
}

#[test]
fn json_is_what_the_node_said() {
    let said = transaction("committed", "committing");
    let (url, _asked) = node(200, &said);
    let (code, out, _) = run(&["tx", "show", "order-42", "--json", "--server", &url]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &out["branches"][1]["last_answer"]),
        (0, &said["branches"][1]["last_answer"])
    );
}

#[test]
fn ls_is_a_table_and_says_if_there_is_more() {
    let line = json!({ "gid": "order-42", "state": "held", "stuck": true, "changed_at_ms": 1,
                       "resources": ["a", "b"] });
    let (url, asked) = node(200, &json!({ "transactions": [line], "next": "n" }));
    let (code, out, err) =
        run(&["tx", "ls", "--state", "in-doubt", "--limit", "1", "--server", &url]);
    assert_eq!(code, 0);
    let head = asked.recv().unwrap().0;
    assert!(head.starts_with("GET /v1/transactions?state=in-doubt&limit=1 "), "{head}");
    assert!(out.starts_with("GID       STATE        CHANGED"), "{out}");
    assert!(out.contains("order-42  held, STUCK"), "{out}");
    assert!(err.contains("--all"), "{err}");
}

#[test]
fn outcomes_are_exit_codes() {
    let committed = transaction("committed", "committed");
    let aborted = transaction("aborted", "aborted");
    let unknown = transaction("unknown", "preparing");
    for (verb, said, expected) in [
        ("commit", &committed, 0),
        ("commit", &aborted, 1),
        ("commit", &unknown, 3),
        ("abort", &aborted, 0),
        ("abort", &committed, 1),
        ("abort", &unknown, 3),
        ("retry", &unknown, 0),
    ] {
        let (url, asked) = node(200, said);
        let (code, _, err) = run(&["tx", verb, "t", "--reason", "why", "--server", &url]);
        assert_eq!(code, expected, "{verb}: {err}");
        let (head, body) = asked.recv().unwrap();
        assert!(head.starts_with(&format!("POST /v1/transactions/t:{verb} ")), "{head}");
        assert_eq!(body, json!({ "reason": "why" }));
    }
}

#[test]
fn problems_are_exit_codes_with_a_cure() {
    for (status, expected) in [(400, 2), (422, 2), (401, 5), (403, 5), (404, 6), (503, 4)] {
        let (url, _asked) = node(status, &problem(status));
        let (code, out, err) = run(&["tx", "show", "t", "--server", &url]);
        assert_eq!((code, out.as_str()), (expected, ""), "{err}");
        assert!(err.contains("error [a_code]: a title: a detail\n  try: a cure"), "{err}");
    }
}

#[test]
fn resolve_sends_what_the_operator_saw() {
    let (url, asked) = node(200, &transaction("committed", "committed"));
    let args = ["tx", "resolve", "t", "credit", "--reason", "seen", "--server", &url];
    for (said, outcome) in [
        (&["--outcome", "committed"][..], "committed"),
        (&["--outcome", "aborted"], "aborted"),
        (&["--done"], "committed"),
        (&["--undone"], "aborted"),
    ] {
        assert_eq!(run(&[&args[..], said].concat()).0, 0);
        let told = json!({ "branch": "credit", "outcome": outcome, "reason": "seen" });
        assert_eq!(asked.recv().unwrap().1, told);
    }
}

#[test]
fn check_fails_if_a_resource_cannot_take_part() {
    let finding = |level: &str| {
        json!({ "findings": [{ "level": level, "code": "prepared_transactions_off",
            "message": "it is off", "cure": "ALTER SYSTEM SET max_prepared_transactions = 100" }] })
    };
    for (level, expected) in [("ok", 0), ("warning", 0), ("error", 1)] {
        let (url, _asked) = node(200, &finding(level));
        let (code, out, _) = run(&["resource", "check", "checking", "--server", &url]);
        assert_eq!(code, expected);
        assert!(out.contains("mend: ALTER SYSTEM SET"), "{out}");
    }
}

#[test]
fn a_list_of_resources_says_how_many_are_stuck() {
    let resource =
        |name: &str| json!({ "name": name, "kind": "service", "health": "up", "calls": 3 });
    let mut counted = resource("shipping");
    counted["stuck"] = json!(12);
    let (url, _asked) = node(200, &json!([counted, resource("mailer")]));
    let (_, out, _) = run(&["resource", "ls", "--server", &url]);
    let rows: Vec<Vec<_>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][5..10], ["OLDEST", "IN", "DOUBT", "STUCK", "CALLS"], "{out}");
    assert_eq!(rows[1][5..8], ["-", "12", "3"], "{out}");
    assert_eq!(rows[2][5..8], ["-", "?", "3"], "an older node: {out}");
}

#[test]
fn the_token_comes_from_a_file_or_a_variable() {
    let (url, asked) = node(200, &json!([]));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "from-a-file\n").unwrap();
    let file = file.to_str().unwrap();
    let (code, ..) = run(&["resource", "ls", "--server", &url, "--token-file", file]);
    assert_eq!(code, 0);
    assert!(asked.recv().unwrap().0.contains("Bearer from-a-file\r\n"));
    let mut command = handfast(&["resource", "ls", "--server", &url]);
    let (code, ..) = ended(command.env("HANDFAST_TOKEN", "from-a-variable").output().unwrap());
    assert_eq!(code, 0);
    assert!(asked.recv().unwrap().0.contains("Bearer from-a-variable\r\n"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let (url, _asked) = node(200, &transaction("committed", "committed"));
    let mut command = handfast(&["tx", "show", "t", "--server", &url]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (code, _, err) = ended(
        command
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap(),
    );
    assert_eq!((code, err.as_str()), (0, ""));
}
