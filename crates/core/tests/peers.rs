//! Reads pacts and peers' messages in traces: the words are those of `pact::trace`.

use handfast_core::{
    id::{Cluster, RunId},
    pact::{
        Message, Pact, Way, Word,
        paxos::{Ballot, Proposal, Value},
        three_phase::Stage,
    },
};

/// `paxos [F=2]` or `three-phase`, for two members, on shards `a` and `b`; acceptors 1 to 2F are
/// `a`, `x`, `y`, `z`, so that one is a member and the others are not.
pub fn pact(way: &str, run: RunId, faults: usize) -> Pact {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let (way, acceptors) = match way {
        "paxos" => (Way::Paxos, names(&["a", "x", "y", "z"][..2 * faults])),
        "three-phase" => (Way::ThreePhase, names(&[])),
        _ => panic!("no such way: {way}"),
    };
    let cluster = Cluster::new("t").unwrap();
    Pact { cluster, run, gid: "g".into(), way, members: names(&["a", "b"]), acceptors }
}

/// A message as it is shown.
pub fn message(pact: Pact, words: &[&str]) -> Message {
    Message { pact, word: word(words) }
}

fn word(words: &[&str]) -> Word {
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name).unwrap();
        words[at + 1]
    };
    let acceptor = || after("acceptor").parse().unwrap();
    let member = |word: &str| word.strip_prefix('#').unwrap().parse().unwrap();
    let process = |word: &str| word.strip_prefix('p').unwrap().parse().unwrap();
    match words {
        ["voted", who, ..] => Word::Voted { member: member(who), acceptor: acceptor() },
        ["claim", b, ..] => Word::Claim { ballot: ballot(b), acceptor: acceptor() },
        ["promise", b, "by", "acceptor", _, rest @ ..] => {
            let accepted = match rest {
                ["accepted", b, value] => Some(proposal(b, value)),
                _ => None,
            };
            Word::Promise { ballot: ballot(b), acceptor: acceptor(), accepted }
        }
        ["accept", b, value, ..] => {
            Word::Accept { proposal: proposal(b, value), acceptor: acceptor() }
        }
        ["accepted", b, value, ..] => {
            Word::Accepted { proposal: proposal(b, value), acceptor: acceptor() }
        }
        ["outbid", b, ..] => Word::Outbid {
            ballot: ballot(b),
            acceptor: acceptor(),
            promised: ballot(after("promised")),
        },
        ["retired", "from", b, ..] => Word::Retired { ballot: ballot(b), acceptor: acceptor() },
        ["forgotten", by, who] => Word::Forgotten { by: process(by), member: member(who) },
        ["decided", how, "to", to] => Word::Decided { to: process(to), commit: *how == "commit" },
        ["precommit", who, "by", by] => Word::PreCommit { by: process(by), member: member(who) },
        ["precommitted", who, "to", by] => {
            Word::PreCommitted { by: process(by), member: member(who) }
        }
        ["asked", who, "by", by, rest @ ..] => {
            Word::Asked { by: process(by), member: member(who), leads: *rest == ["leading"] }
        }
        ["told", by, who, stage, rest @ ..] => Word::Told {
            by: process(by),
            member: member(who),
            stage: self::stage(stage),
            recovering: *rest == ["recovering"],
        },
        ["led", by, who, "by", leader] => {
            Word::Led { by: process(by), member: member(who), leader: member(leader) }
        }
        _ => panic!("no such message: {words:?}"),
    }
}

fn ballot(word: &str) -> Ballot {
    Ballot(word.strip_prefix('b').unwrap().parse().unwrap())
}

fn proposal(ballot: &str, value: &str) -> Proposal {
    let value = if value == "prepared" { Value::Prepared } else { Value::Aborted };
    Proposal { ballot: self::ballot(ballot), value }
}

fn stage(word: &str) -> Stage {
    match word {
        "prepared" => Stage::Prepared,
        "precommitted" => Stage::PreCommitted,
        "committed" => Stage::Committed,
        "aborted" => Stage::Aborted,
        _ => panic!("no such stage: {word}"),
    }
}
