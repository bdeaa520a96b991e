//! `check service`, against services that are right, wrong, and not there.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::run;

/// A service with rooms, one thread for each request.
struct Service {
    /// Whether it remembers what was called.
    remembers: bool,
    free: Mutex<i64>,
    /// What became of a branch, by gid.
    seen: Mutex<BTreeMap<String, &'static str>>,
}

impl Service {
    fn start(remembers: bool, free: i64) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Self { remembers, free: Mutex::new(free), seen: Mutex::default() };
        let service = Arc::new(service);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let service = service.clone();
                std::thread::spawn(move || service.serve(stream.unwrap()));
            }
        });
        url
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            line.trim().to_lowercase()
        };
        let first = line();
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = line().split_once(": ") {
            headers.insert(name.to_owned(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let gid = headers.get("handfast-transaction").cloned().unwrap_or_default();
        let (status, body) = match first.split(' ').next().unwrap() {
            "get" => (200, format!("{{\"free\":{}}}", self.free.lock().unwrap())),
            "post" if body == br#"{"room":7}"# => self.book(gid),
            "delete" => self.give_back(gid),
            _ => (400, String::new()),
        };
        let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).unwrap();
    }

    fn book(&self, gid: String) -> (u16, String) {
        let (mut seen, mut free) = (self.seen.lock().unwrap(), self.free.lock().unwrap());
        match seen.get(&gid) {
            Some(&"barred") if self.remembers => return (409, "too late".into()),
            Some(_) if self.remembers => return (200, r#"{"id":1}"#.into()),
            _ if *free == 0 => return (409, "sold out".into()),
            _ => {}
        }
        seen.insert(gid, "done");
        *free -= 1;
        (200, r#"{"id":1}"#.into())
    }

    fn give_back(&self, gid: String) -> (u16, String) {
        let (mut seen, mut free) = (self.seen.lock().unwrap(), self.free.lock().unwrap());
        match seen.get(&gid) {
            Some(&"done") => {
                seen.insert(gid, "undone");
                *free += 1;
            }
            Some(_) if self.remembers => {}
            None if self.remembers => drop(seen.insert(gid, "barred")),
            _ => *free += 1,
        }
        (200, String::new())
    }
}

/// As a person would call it.
fn check(url: &str, more: &[&str]) -> (i32, Value, String) {
    let args =
        ["--json", "check", "service", url, "--do", "POST /rooms", "--undo", "DELETE /rooms"];
    let state = ["--body", "{\"room\":7}", "--state", "GET /rooms/7"];
    let (code, out, err) = run(&[&args[..], &state, more].concat());
    (code, serde_json::from_str(&out).unwrap_or_default(), err)
}

fn verdict<'r>(rows: &'r Value, case: &str) -> &'r str {
    let rows = rows.as_array().unwrap();
    rows.iter().find(|row| row["case"] == case).unwrap()["verdict"].as_str().unwrap()
}

#[test]
fn a_good_service_exits_with_0() {
    let (code, rows, err) = check(&Service::start(true, 5), &[]);
    assert_eq!(code, 0, "{rows:#}{err}");
    assert_eq!(rows.as_array().unwrap().len(), 8);
    assert_eq!(verdict(&rows, "do and undo at the same time"), "holds");
}

#[test]
fn a_service_that_remembers_nothing_exits_with_1_and_says_what_breaks() {
    let (code, rows, err) = check(&Service::start(false, 500), &[]);
    assert_eq!(code, 1, "{rows:#}{err}");
    for case in ["do, do", "do, undo, undo", "undo", "undo, do"] {
        assert_eq!(verdict(&rows, case), "breaks", "{case}: {rows:#}");
    }
    assert_eq!(verdict(&rows, "do, undo"), "holds");
    let detail = rows[0]["detail"].as_str().unwrap();
    let said = "it changed something: {\"free\":499} became {\"free\":498}";
    assert_eq!(detail, said, "{rows:#}");
}

#[test]
fn a_service_that_refuses_is_not_finished_and_exits_with_2() {
    let (code, rows, err) = check(&Service::start(true, 0), &[]);
    assert_eq!(code, 2, "{rows:#}{err}");
    for case in ["do, undo", "do and do at the same time"] {
        assert_eq!(verdict(&rows, case), "not tried");
    }
    assert_eq!(verdict(&rows, "undo"), "holds");
}

#[test]
fn what_cannot_be_checked_exits_with_2_and_says_why() {
    let url = Service::start(true, 5);
    for (args, why) in [
        (&["--undo", "DELETE /x"][..], "--do"),
        (&["--do", "POST /x"], "--undo"),
        (&["--try", "POST /x"], "--confirm"),
        (&["--do", "/x", "--undo", "DELETE /x"], "must be METHOD /path"),
        (&["--do", "POST /x", "--undo", "DELETE /x", "--body", "{"], "--body is no JSON"),
        (&["--do", "POST /x", "--undo", "DELETE /x", "--state", "POST /x"], "--state must be"),
    ] {
        let (code, _, err) = run(&[&["check", "service", &url], args].concat());
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(err.contains(why), "{args:?}: {err}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, err) = check(&format!("http://{free}"), &[]);
    assert_eq!(code, 2);
    assert!(err.contains("failed to read the state"), "{err}");
    let calls = ["--do", "POST /rooms", "--undo", "DELETE /rooms"];
    let away = format!("http://{free}");
    let (code, out, _) = run(&[&["check", "service", &away], &calls[..]].concat());
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("not tried") && !out.contains("breaks"), "{out}");
    for odd in ["hotel", "ftp://hotel", "http://hotel/?x=1"] {
        let (code, _, err) = run(&[&["check", "service", odd], &calls[..]].concat());
        assert_eq!(code, 2);
        assert!(err.contains(odd) && err.contains("http://host:port"), "{err}");
    }
}
