//! Golden traces: `traces/shard/*.txt`. `A`, `B`, `C` and `D` stand for branches, `P` and `Q` for
//! the two of a run with a pact, for which this shard may have any role; `> look` shows what is
//! stored and locked.

use handfast_core::{
    id::{BranchId, RequestId, RunId},
    pact::Pact,
    shard::{Input, Inquired, Shard, Timer},
    work::{KeyOp, Value},
};

use super::branch;
use crate::{golden, peers};

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
    let stuck = world.saved.prepared.iter().filter_map(|(branch, prepared)| {
        let why = world.live.inquiries.get(branch)?.stuck(prepared.pact.as_ref()?)?;
        Some(format!("{branch} is stuck: {why}"))
    });
    keys.chain(locks).chain(stuck).collect()
}

fn input(line: &str) -> Input {
    let (head, ops) = line.split_once("; ").unwrap_or((line, ""));
    let words: Vec<_> = head.split(' ').collect();
    match words.as_slice() {
        ["prepare", who, name] => prepare(request(who), named(name), ops, "1000ms", None),
        ["prepare", who, name, "within", wait] => {
            prepare(request(who), named(name), ops, wait, None)
        }
        ["prepare", who, name, way] => {
            let pact = peers::pact(way, PACT, 1);
            prepare(request(who), named(name), ops, "1000ms", Some(pact))
        }
        ["received", way, words @ ..] => {
            Input::Received { message: peers::message(peers::pact(way, PACT, 1), words) }
        }
        ["fired", "lead", name] => Input::Fired(Timer::Lead(named(name))),
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

fn prepare(
    request: RequestId,
    branch: BranchId,
    ops: &str,
    wait: &str,
    pact: Option<Pact>,
) -> Input {
    let lock_wait_ms = wait.strip_suffix("ms").unwrap().parse().unwrap();
    let ops = ops.split("; ").map(op).collect();
    Input::Prepare { request, branch, ops, lock_wait_ms, pact }
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

/// The run with a pact.
const PACT: RunId = RunId { epoch: 1, number: 9 };
const NAMES: [(&str, u64, u8); 6] =
    [("A", 1, 0), ("B", 2, 0), ("C", 3, 0), ("D", 4, 0), ("P", 9, 0), ("Q", 9, 1)];

fn named(name: &str) -> BranchId {
    let (_, number, index) = NAMES.iter().find(|(known, ..)| *known == name).unwrap();
    BranchId { index: *index, ..branch(*number) }
}

fn short(line: &str) -> String {
    NAMES
        .iter()
        .fold(line.to_owned(), |line, (name, ..)| line.replace(&named(name).to_string(), name))
}
