//! The transaction machine: golden traces. Every schedule of small worlds is walked by
//! `handfast-sim`.

use handfast_core::{
    id::{RequestId, RunId},
    plan::{Ask, Call, Calls, Kind, Part, Patience, Terms},
    transaction::{AckWhen, Begin, BranchSpec, Decision, Input, Timer, Transaction, Tried},
    vote::{Ack, Cause, Later, Proof, Refusal, Reply, Vote},
    work::Work,
};

use crate::{golden, peers};

#[test]
fn traces_are_as_written() {
    golden::check("transaction", 10, |trace| {
        let mut world = golden::World::<Transaction>::default();
        golden::run(trace, |line| match line {
            "crash" => world.crash(),
            _ => match line.strip_prefix("unsynced ") {
                Some(line) => world.unsynced(input(line)),
                None => world.step(input(line)),
            },
        })
    });
}

#[test]
fn a_timeout_names_whom_it_waited_for() {
    let votes = "not all voted in time; it waited for ";
    for (story, wanted) in [
        ("begin r1 A@s B@t C@u, A votes yes, votes timeout", "B at t: _, and for C at u: _"),
        ("begin r1 A:reserve@s B:step@t beside, A does unsent, votes timeout", "A at s: refused"),
        ("begin r1 A:reserve@s B:step@t, votes timeout", "A at s: _"),
        ("begin r1 three-phase A@s B@t, A votes yes, votes timeout", "B at t: _"),
    ] {
        let wanted = wanted.replace('_', "no answer yet").replace("refused", "connection refused");
        assert_eq!(reason(story.split(", ").map(input)), format!("{votes}{wanted}"), "{story}");
    }
    let story = "begin r1 A:step@s B:step@t beside deadline, A does unknown, deadline";
    let wanted = "it was not decided in time; it waited for A at s: no answer, and for B at t: no \
                  answer yet";
    assert_eq!(reason(story.split(", ").map(input)), wanted);
}

#[test]
fn what_a_timeout_says_is_bounded() {
    let begin = |names: &str| input(&format!("begin r1{names} beside"));
    let answer = Reply::Unsent("\u{df}".repeat(500));
    let answered =
        Input::Answered { run: run("1.1"), branch: 0, reply: answer.clone(), took_ms: 1 };
    let late = Input::Fired(Timer::Votes(run("1.1")));
    let few = " A:reserve@s B:reserve@t C:reserve@u";
    let message = reason([begin(few), answered.clone(), late.clone()].into_iter());
    assert!(message.len() <= 1024 && message.ends_with(", and for C at u: no answer yet"));
    let many: String = (0..64).map(|at| format!(" {at}{}:reserve@s", "n".repeat(60))).collect();
    let message = reason([begin(&many), answered, late].into_iter());
    assert!((900..=1024).contains(&message.len()), "{message}");
}

/// Why what happens ends in an abort.
fn reason(inputs: impl Iterator<Item = Input>) -> String {
    let mut world = golden::World::<Transaction>::default();
    inputs.for_each(|input| drop(world.step(input)));
    match world.saved.known.unwrap().decision {
        Some(Decision::Abort(reason)) => reason.refusal.message,
        decision => panic!("{decision:?}"),
    }
}

/// Reads an input: the words of `transaction::trace`, shortened where only one thing can be meant.
/// `A` and `B` are the branches `#0` and `#1` of the run `1.1`.
fn input(line: &str) -> Input {
    let words: Vec<_> = line.split(' ').collect();
    match words.as_slice() {
        ["begin", who, rest @ ..] => begin(request(who), rest),
        [branch @ ("A" | "B" | "C" | "X"), "votes", vote @ ..] => Input::Voted {
            run: run("1.1"),
            branch: index(branch),
            vote: self::vote(vote),
            tried: Some(Tried { times: 1, last_ms: 30 }),
        },
        [branch @ ("A" | "B" | "C"), "answers", ack @ ..] => Input::Acked {
            run: run("1.1"),
            branch: index(branch),
            ack: self::ack(ack),
            took_ms: 20,
        },
        [branch @ ("A" | "B" | "C"), "does", reply @ ..] => Input::Answered {
            run: run("1.1"),
            branch: index(branch),
            reply: self::reply(reply),
            took_ms: if reply.contains(&"slowly") { 9_000 } else { 10 },
        },
        ["asked-back", reply @ ..] => {
            Input::AskedBack { run: run("1.1"), reply: self::reply(reply) }
        }
        ["deadline"] => Input::Fired(Timer::Deadline(run("1.1"))),
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
        words => operated(words).unwrap_or_else(|| panic!("no such input: {line}")),
    }
}

/// What callers of open transactions and operators say.
fn operated(words: &[&str]) -> Option<Input> {
    Some(match words {
        ["add", who, branch, rest @ ..] => {
            Input::Add { request: request(who), branch: spec(branch, rest, 1) }
        }
        ["edit", who, branch, rest @ ..] => Input::Edit {
            request: request(who),
            branch: index(branch),
            work: calls(!rest.contains(&"without")),
            uses: rest
                .iter()
                .skip_while(|word| **word != "using")
                .skip(1)
                .map(|of| index(of))
                .collect(),
            reason: "the address was wrong".into(),
        },
        ["retry-asked", who] => Input::RetryAsked { request: request(who), branch: None },
        ["retry-asked", who, branch] => {
            Input::RetryAsked { request: request(who), branch: Some(index(branch)) }
        }
        ["resolve", who, branch, outcome] => Input::Resolved {
            request: request(who),
            branch: index(branch),
            committed: *outcome == "committed",
            reason: "looked".into(),
        },
        _ => return None,
    })
}

/// `begin r1 A@checking B@savings [hold] [applied] [one-phase] [run 1.2] [as other]`, and
/// `[paxos | three-phase] [F=0]` for a pact; see [`spec`] for branches of a plan, which may be
/// `[open] [deadline] [ask]`.
fn begin(request: RequestId, words: &[&str]) -> Input {
    let has = |word: &str| words.contains(&word);
    let after = |word: &str| words.windows(2).find(|pair| pair[0] == word).map(|pair| pair[1]);
    let branches = words.iter().filter(|word| word.contains('@'));
    let run = run(after("run").unwrap_or("1.1"));
    let way = words.iter().copied().find(|word| ["paxos", "three-phase"].contains(word));
    let branches: Vec<_> = (0..).zip(branches).map(|(at, word)| spec(word, words, at)).collect();
    let planned = has("open") || has("deadline") || words.iter().any(|word| word.contains(':'));
    let ask = has("ask").then(|| Ask { resource: "shop".into(), call: Call::default() }.into());
    Input::Begin(Begin {
        request,
        run,
        fingerprint: after("as").unwrap_or("this").into(),
        branches,
        timeout_ms: 5000,
        ack: if has("applied") { AckWhen::Applied } else { AckWhen::Decided },
        hold: has("hold"),
        pact: way.map(|way| peers::pact(way, run, if has("F=0") { 0 } else { 1 })),
        terms: planned.then(|| Terms {
            open: has("open"),
            hold: has("hold"),
            timeout_ms: 5000,
            deadline_ms: has("deadline").then_some(60_000),
            ask,
            ..Terms::default()
        }),
    })
}

/// `A@checking` prepares; `A:step@x`, `A:final@x` (a step without undo), `A:deliver@x` and
/// `A:reserve@x` are of a plan. In a plan every step comes after all branches before it, unless it
/// is said to be `beside`. It has 30 s, `briefly` 1.5 s. `+` after a kind: it uses the output of
/// `#0`.
fn spec(word: &str, words: &[&str], at: u8) -> BranchSpec {
    let (name, resource) = word.split_once('@').unwrap();
    let (name, kind) = name.split_once(':').unwrap_or((name, ""));
    let uses = if kind.ends_with('+') { vec![0] } else { Vec::new() };
    let (kind, work) = match kind.trim_end_matches('+') {
        "step" => (Kind::Step, calls(true)),
        "final" => (Kind::Step, calls(false)),
        "deliver" => (Kind::Deliver, calls(false)),
        "reserve" => (Kind::Prepare, calls(true)),
        _ => (Kind::Prepare, Work::Keys(Vec::new())),
    };
    let in_order = words.iter().any(|word| word.contains(':')) && !words.contains(&"beside");
    let after = if in_order && kind != Kind::Deliver { (0..at).collect() } else { Vec::new() };
    let within_ms = if words.contains(&"briefly") { Some(1_500) } else { Patience::STEP.within_ms };
    BranchSpec {
        name: name.into(),
        resource: resource.into(),
        one_phase: words.contains(&"one-phase"),
        work,
        part: Part {
            kind,
            after,
            uses,
            patience: Patience { attempts: Some(2), within_ms, ..Patience::STEP },
            persistence: Patience { attempts: Some(2), ..Patience::UNTIL_DONE },
        },
    }
}

fn calls(can_be_undone: bool) -> Work {
    let undo = can_be_undone.then(Call::default);
    Work::Calls(Box::new(Calls { undo, ..Calls::default() }))
}

fn reply(words: &[&str]) -> Reply {
    match words {
        ["done"] => Reply::Done(Proof::default()),
        ["done", output] => Reply::Done(Proof((*output).into())),
        ["refused"] => {
            let (code, message) = ("service_refused".into(), "sold out".into());
            Reply::Refused(Refusal { code, message, cause: Cause::Business })
        }
        ["in-progress", ..] => Reply::InProgress(500),
        ["unsent", ..] => Reply::Unsent("connection refused".into()),
        ["unknown", ..] => Reply::Unknown("no answer".into()),
        [word @ ("turned-away" | "overloaded")] => Reply::Later(later(word)),
        ["broken"] => Reply::Broken("401".into()),
        _ => panic!("no such answer: {words:?}"),
    }
}

fn later(word: &str) -> Later {
    let may_be_done = word == "overloaded";
    Later { detail: word.into(), after_ms: 7_000, may_be_done }
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
        "C" => 2,
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
        ["in-progress"] => Ack::InProgress(500),
        ["unsent"] => Ack::Unsent("connection refused".into()),
        [word @ ("turned-away" | "overloaded")] => Ack::Later(later(word)),
        _ => panic!("no such answer: {words:?}"),
    }
}
