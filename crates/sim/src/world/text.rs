//! One-line texts of what happens, as in the golden traces.

use std::fmt::{self, Display, Formatter};

use handfast_core::vote::{Cause, Refusal};

use super::{Action, Call, Cast, Death, Message, Person, Place, Step, Timer};

/// The one refusal of this world. Why something is refused steers nothing.
pub fn refusal() -> Refusal {
    Refusal { code: "refused".into(), message: String::new(), cause: Cause::Passing }
}

/// The name of a branch.
pub fn name(index: usize) -> &'static str {
    ["A", "B", "C", "D", "E", "F", "G", "H"][index]
}

impl Display for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(branch, call) => write!(f, "{call} {branch}"),
            Self::Vote(branch, vote) => write!(f, "voted {branch} {vote}"),
            Self::Reply(branch, reply) => write!(f, "answered {branch} {reply}"),
            Self::Ack(branch, ack) => write!(f, "acked {branch} {ack}"),
            Self::Ask(branch) => write!(f, "ask {branch}"),
            Self::AskedBack(branch, true) => write!(f, "asked back {branch} committed"),
            Self::AskedBack(branch, false) => write!(f, "asked back {branch} never"),
            Self::Inquiry(branch) => write!(f, "inquired {branch}"),
            Self::Told(branch, answer) => write!(f, "answered {branch} {answer}"),
            Self::Peer(from, to, message) => {
                write!(f, "{from} to {to} {} {message}", message.pact.run)
            }
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare { one_phase: false } => "prepare",
            Self::Prepare { one_phase: true } => "prepare one-phase",
            Self::Commit { one_phase: false } => "commit",
            Self::Commit { one_phase: true } => "commit one-phase",
            Self::Abort => "abort",
            Self::Do => "do",
            Self::Undo => "undo",
            Self::Take => "deliver",
            Self::Orphan { committed: false } => "abort orphan",
            Self::Orphan { committed: true } => "commit orphan",
        })
    }
}

impl Display for Death {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsynced => f.write_str("before the sync"),
            Self::Ahead => f.write_str("before the sync, and what leaves ahead has left"),
            Self::After(0) => f.write_str("after the sync"),
            Self::After(left) => write!(f, "after {left} effects"),
            Self::AfterSome(left) => write!(f, "after some have left: {left:b}"),
        }
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(packet, cast) => {
                write!(f, "{packet}")?;
                let asks = matches!(**packet, Message::Call(_, Call::Prepare { .. } | Call::Do));
                f.write_str(match cast {
                    Cast::No if asks => ", votes no",
                    Cast::ReadOnly if asks => ", votes read-only",
                    _ => "",
                })
            }
            Self::Fire(place, Timer::Transaction(transaction, timer)) => {
                write!(f, "{place} t{transaction} fired {timer}")
            }
            Self::Fire(place, Timer::Shard(timer)) => write!(f, "{place} fired {timer}"),
            Self::Flush(place) => write!(f, "{place} syncs"),
            Self::Restart(place) => write!(f, "{place} starts"),
            Self::GiveUp(branch) => write!(f, "no answer from {branch}"),
            Self::Silence(branch) => write!(f, "answered {branch} silent"),
            Self::Ask(transaction, person) => write!(f, "t{transaction} {person}"),
            Self::Search(coordinator) => {
                write!(f, "{} searches", Place::Coordinator(*coordinator))
            }
        }
    }
}

impl Display for Person {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins => f.write_str("begin"),
            Self::CommitsLocally => f.write_str("commits locally"),
            Self::Commits => f.write_str("commit-asked"),
            Self::Aborts => f.write_str("abort-asked"),
            Self::Resolves(branch, true) => write!(f, "resolved {branch} committed"),
            Self::Resolves(branch, false) => write!(f, "resolved {branch} aborted"),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => write!(f, "{step}"),
            Self::Torn(step, death) => write!(f, "{step}; dies {death}"),
            Self::Delayed(step) => write!(f, "too early: {step}"),
            Self::Crash(place) => write!(f, "{place} dies"),
            Self::Lose(packet) => write!(f, "lost to the dead: {packet}"),
            Self::Drop(packet) => write!(f, "lost: {packet}"),
            Self::Duplicate(packet) => write!(f, "doubled: {packet}"),
            Self::CutOff(place) => write!(f, "{place} is cut off"),
            Self::Heal => f.write_str("all hear each other"),
            Self::Meddle(branch, true) => write!(f, "committed by hand: {branch}"),
            Self::Meddle(branch, false) => write!(f, "rolled back by hand: {branch}"),
            Self::SessionDies(branch) => write!(f, "session of {branch} dies"),
            Self::Revive(branch) => write!(f, "prepared again after a crash: {branch}"),
            Self::Break(branch) => write!(f, "acked {branch} broken"),
        }
    }
}
