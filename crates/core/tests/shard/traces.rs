//! Golden traces: `traces/shard/*.txt`, each a story of inputs and what followed.
//!
//! A line with `>` is an input; the indented lines below are what the machine must answer with:
//! records, `sync` if the effects wait for them, effects. `> crash` forgets what is live and what
//! no sync took along. `A`, `B`, `C` stand for branches. `UPDATE=1 cargo test` writes the answers
//! anew; read the difference before you believe it.

use std::{fs, path::Path};

use handfast_core::{
    id::{BranchId, RequestId},
    machine::{Machine, Output},
    shard::{Effect, Input, Inquired, Live, Record, Saved, Shard, Timer},
    work::{KeyOp, Value},
};

use super::{branch, replay, step};

#[test]
fn traces_are_as_written() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/shard");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "the traces are missing");
    let mut wrong = Vec::new();
    for file in files {
        let written = fs::read_to_string(&file).unwrap();
        let happened = run(&written);
        if written != happened && std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &happened).unwrap();
        } else if written != happened {
            wrong.push(format!("{}:\n{happened}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "these went otherwise than written:\n\n{}", wrong.join("\n"));
}

/// Keeps the comments and inputs of a trace and answers the inputs.
fn run(trace: &str) -> String {
    let mut world = World::default();
    let mut text = String::new();
    for line in trace.lines().filter(|line| !line.starts_with("  ")) {
        text.push_str(line);
        text.push('\n');
        if let Some(input) = line.strip_prefix("> ") {
            for answer in world.take(input) {
                text.push_str(&format!("  {}\n", short(&answer)));
            }
        }
    }
    text
}

#[derive(Default)]
struct World {
    saved: Saved,
    live: Live,
    records: Vec<Record>,
    synced: usize,
}

impl World {
    fn take(&mut self, line: &str) -> Vec<String> {
        let (records, effects, forced) = match line {
            "crash" => self.crash(),
            "look" => return self.look(),
            _ => step(&mut self.saved, &mut self.live, input(line)),
        };
        for record in &records {
            let json = serde_json::to_string(record).unwrap();
            assert_eq!(*record, serde_json::from_str(&json).unwrap(), "JSON changes a record");
        }
        let mut answers: Vec<_> = records.iter().map(|record| format!("record {record}")).collect();
        self.records.extend(records);
        if forced {
            self.synced = self.records.len();
            answers.push("sync".into());
        }
        answers.extend(effects.iter().map(ToString::to_string));
        answers
    }

    fn crash(&mut self) -> (Vec<Record>, Vec<Effect>, bool) {
        self.records.truncate(self.synced);
        self.saved = replay(&self.records);
        self.live = Live::default();
        let mut out = Output::new();
        Shard::restart(&self.saved, &mut self.live, &mut out);
        out.into_parts()
    }

    fn look(&self) -> Vec<String> {
        let keys = self.saved.keys.iter().map(|(key, value)| format!("{key} = {value}"));
        let locks = self.live.locks.held().map(|(key, mode, holders)| {
            let holders: Vec<_> = holders.iter().map(ToString::to_string).collect();
            format!("{key} is locked {mode:?} by {}", holders.join(" "))
        });
        keys.chain(locks).collect()
    }
}

fn input(line: &str) -> Input {
    let (head, ops) = line.split_once("; ").unwrap_or((line, ""));
    let words: Vec<_> = head.split(' ').collect();
    match words.as_slice() {
        ["prepare", who, name] => prepare(request(who), named(name), ops, "1000ms"),
        ["prepare", who, name, "within", wait] => prepare(request(who), named(name), ops, wait),
        ["commit", who, name] => Input::Commit { request: request(who), branch: named(name) },
        ["abort", who, name] => Input::Abort { request: request(who), branch: named(name) },
        ["load", who, pairs @ ..] => {
            let pair = |pair: &&str| {
                let (key, number) = pair.split_once('=').unwrap();
                (key.to_owned(), Value::Int(number.parse().unwrap()))
            };
            Input::Load { request: request(who), keys: pairs.iter().map(pair).collect() }
        }
        ["answered", name, word] => Input::Answered { branch: named(name), answer: inquired(word) },
        ["fired", "lock-wait", name] => Input::Fired(Timer::LockWait(named(name))),
        ["fired", "inquire", name] => Input::Fired(Timer::Inquire(named(name))),
        _ => panic!("no such input: {line}"),
    }
}

fn prepare(request: RequestId, branch: BranchId, ops: &str, wait: &str) -> Input {
    let lock_wait_ms = wait.strip_suffix("ms").unwrap().parse().unwrap();
    Input::Prepare { request, branch, ops: ops.split("; ").map(op).collect(), lock_wait_ms }
}

fn op(text: &str) -> KeyOp {
    let words: Vec<_> = text.split(' ').collect();
    let int = |word: &str| word.parse::<i64>().unwrap();
    match words.as_slice() {
        ["get", key] => KeyOp::Get { key: (*key).into() },
        ["put", key, "x"] => KeyOp::Put { key: (*key).into(), value: Value::Bytes(b"x".to_vec()) },
        ["put", key, value] => KeyOp::Put { key: (*key).into(), value: Value::Int(int(value)) },
        ["add", key, by, bounds @ ..] => {
            let bound = |name| {
                let found = bounds.chunks(2).find(|pair| pair[0] == name);
                found.map(|pair| int(pair[1]))
            };
            KeyOp::Add { key: (*key).into(), by: int(by), min: bound("min"), max: bound("max") }
        }
        ["delete", key] => KeyOp::Delete { key: (*key).into() },
        ["expect", key, "nothing"] => KeyOp::Expect { key: (*key).into(), value: None },
        ["expect", key, value] => {
            KeyOp::Expect { key: (*key).into(), value: Some(Value::Int(int(value))) }
        }
        _ => panic!("no such operation: {text}"),
    }
}

fn inquired(word: &str) -> Inquired {
    match word {
        "commit" => Inquired::Commit,
        "abort" => Inquired::Abort,
        "pending" => Inquired::Pending,
        "silent" => Inquired::Silent,
        _ => panic!("no such answer: {word}"),
    }
}

fn request(word: &str) -> RequestId {
    RequestId(word.strip_prefix('r').unwrap().parse().unwrap())
}

const NAMES: [(&str, u64); 4] = [("A", 1), ("B", 2), ("C", 3), ("D", 4)];

fn named(name: &str) -> BranchId {
    let (_, number) = NAMES.iter().find(|(known, _)| *known == name).unwrap();
    branch(*number)
}

fn short(line: &str) -> String {
    NAMES.iter().fold(line.to_owned(), |line, (name, number)| {
        line.replace(&branch(*number).to_string(), name)
    })
}
