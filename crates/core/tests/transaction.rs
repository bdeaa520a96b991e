//! The transaction machine: golden traces. Every schedule of small worlds is walked by
//! `handfast-sim`.

use handfast_core::{
    id::{RequestId, RunId},
    transaction::{AckWhen, Begin, BranchSpec, Input, Timer, Transaction},
    vote::{Ack, Cause, Proof, Refusal, Vote},
    work::Work,
};

use crate::{golden, peers};

#[test]
fn traces_are_as_written() {
    golden::check("transaction", 10, |trace| {
        let mut world = golden::World::<Transaction>::default();
        golden::run(trace, |line| match line {
            "crash" => world.crash(),
            _ => world.step(input(line)),
        })
    });
}

/// Reads an input: the words of `transaction::trace`, shortened where only one thing can be meant.
/// `A` and `B` are the branches `#0` and `#1` of the run `1.1`.
fn input(line: &str) -> Input {
    let words: Vec<_> = line.split(' ').collect();
    match words.as_slice() {
        ["begin", who, rest @ ..] => begin(request(who), rest),
        [branch @ ("A" | "B" | "C"), "votes", vote @ ..] => {
            Input::Voted { run: run("1.1"), branch: index(branch), vote: self::vote(vote) }
        }
        [branch @ ("A" | "B" | "C"), "answers", ack @ ..] => {
            Input::Acked { run: run("1.1"), branch: index(branch), ack: self::ack(ack) }
        }
        ["votes", "timeout"] => Input::Fired(Timer::Votes(run("1.1"))),
        ["lead", "timeout"] => Input::Fired(Timer::Lead(run("1.1"))),
        ["received", way, words @ ..] => {
            let pact = peers::pact(way, run("1.1"), 1);
            Input::Received { message: peers::message(pact, words) }
        }
        ["retry", branch] => Input::Fired(Timer::Retry(run("1.1"), index(branch))),
        ["inquiry", who, about] => Input::Inquired { request: request(who), run: run(about) },
        ["commit-asked", who] => Input::CommitAsked { request: request(who) },
        ["abort-asked", who] => {
            Input::AbortAsked { request: request(who), reason: "changed my mind".into() }
        }
        ["retry-asked", who] => Input::RetryAsked { request: request(who) },
        ["resolve", who, branch, outcome] => Input::Resolved {
            request: request(who),
            branch: index(branch),
            committed: *outcome == "committed",
            reason: "looked".into(),
        },
        _ => panic!("no such input: {line}"),
    }
}

/// `begin r1 A@checking B@savings [hold] [applied] [one-phase] [run 1.2] [as other]`, and
/// `[paxos | three-phase] [F=0]` for a pact.
fn begin(request: RequestId, words: &[&str]) -> Input {
    let has = |word: &str| words.contains(&word);
    let after = |word: &str| words.windows(2).find(|pair| pair[0] == word).map(|pair| pair[1]);
    let branches = words.iter().filter_map(|word| word.split_once('@'));
    let spec = |(name, resource): (&str, &str)| BranchSpec {
        name: name.into(),
        resource: resource.into(),
        one_phase: has("one-phase"),
        work: Work::Keys(Vec::new()),
    };
    let run = run(after("run").unwrap_or("1.1"));
    let way = words.iter().copied().find(|word| ["paxos", "three-phase"].contains(word));
    Input::Begin(Begin {
        request,
        run,
        fingerprint: after("as").unwrap_or("this").into(),
        branches: branches.map(spec).collect(),
        timeout_ms: 5000,
        ack: if has("applied") { AckWhen::Applied } else { AckWhen::Decided },
        hold: has("hold"),
        pact: way.map(|way| peers::pact(way, run, if has("F=0") { 0 } else { 1 })),
    })
}

fn request(word: &str) -> RequestId {
    RequestId(word.strip_prefix('r').unwrap().parse().unwrap())
}

fn run(word: &str) -> RunId {
    let (epoch, number) = word.split_once('.').unwrap();
    RunId { epoch: epoch.parse().unwrap(), number: number.parse().unwrap() }
}

fn index(branch: &str) -> u8 {
    match branch {
        "A" => 0,
        "B" => 1,
        _ => 9,
    }
}

fn vote(words: &[&str]) -> Vote {
    let refusal =
        |code: &str| Refusal { code: code.into(), message: code.into(), cause: Cause::Passing };
    match words {
        ["yes"] => Vote::Yes(Proof::default()),
        ["yes", proof] => Vote::Yes(Proof((*proof).into())),
        ["read-only"] => Vote::ReadOnly,
        ["no", code] => Vote::No(refusal(code)),
        ["lost"] => Vote::Lost(refusal("lost")),
        _ => panic!("no such vote: {words:?}"),
    }
}

fn ack(words: &[&str]) -> Ack {
    match words {
        ["finished"] => Ack::Finished,
        ["heuristic"] => Ack::Heuristic("found otherwise".into()),
        ["unknown"] => Ack::Unknown("no answer".into()),
        ["broken"] => Ack::Broken("permission denied".into()),
        _ => panic!("no such answer: {words:?}"),
    }
}
