//! Golden traces: `traces/shard/*.txt`. `A`, `B`, `C` and `D` stand for branches; `> look` shows
//! what is stored and locked.

use handfast_core::{
    id::{BranchId, RequestId},
    shard::{Input, Inquired, Shard, Timer},
    work::{KeyOp, Value},
};

use super::branch;
use crate::golden;

type World = golden::World<Shard>;

#[test]
fn traces_are_as_written() {
    golden::check("shard", 8, |trace| {
        let mut world = World::default();
        golden::run(trace, |line| {
            let answers = match line {
                "crash" => world.crash(),
                "look" => look(&world),
                _ => world.step(input(line)),
            };
            answers.iter().map(|answer| short(answer)).collect()
        })
    });
}

fn look(world: &World) -> Vec<String> {
    let keys = world.saved.keys.iter().map(|(key, value)| format!("{key} = {value}"));
    let locks = world.live.locks.held().map(|(key, mode, holders)| {
        let holders: Vec<_> = holders.iter().map(ToString::to_string).collect();
        format!("{key} is locked {mode:?} by {}", holders.join(" "))
    });
    keys.chain(locks).collect()
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
