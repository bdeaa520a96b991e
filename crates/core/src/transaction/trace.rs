//! One-line texts of inputs, records and effects: for golden traces, the simulator and the log.

use core::fmt::{self, Display, Formatter};

use super::{Answer, Case, Decision, Effect, Input, Reason, Record, Timer, Voted};
use crate::{
    id::RunId,
    vote::{Ack, Vote},
};

impl Display for RunId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

impl Display for Timer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Votes(run) => write!(f, "votes {run}"),
            Self::Retry(run, branch) => write!(f, "retry {run} #{branch}"),
            Self::Lead(run) => write!(f, "lead {run}"),
        }
    }
}

impl Display for Vote {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes(proof) if proof.0.is_empty() => f.write_str("yes"),
            Self::Yes(proof) => write!(f, "yes {}", proof.0),
            Self::ReadOnly => f.write_str("read-only"),
            Self::No(refusal) => write!(f, "no {}", refusal.code),
            Self::Lost(refusal) => write!(f, "lost {}", refusal.code),
        }
    }
}

impl Display for Ack {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Heuristic(detail) => write!(f, "heuristic {detail}"),
            Self::Unknown(detail) => write!(f, "unknown {detail}"),
            Self::Broken(detail) => write!(f, "broken {detail}"),
        }
    }
}

impl Display for Input {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(begin) => {
                write!(f, "begin r{} run {}", begin.request.0, begin.run)?;
                for branch in &begin.branches {
                    write!(f, " {}@{}", branch.name, branch.resource)?;
                }
                Ok(())
            }
            Self::Voted { run, branch, vote } => write!(f, "voted {run} #{branch} {vote}"),
            Self::Acked { run, branch, ack } => write!(f, "acked {run} #{branch} {ack}"),
            Self::Fired(timer) => write!(f, "fired {timer}"),
            Self::Inquired { request, run } => write!(f, "inquired r{} {run}", request.0),
            Self::CommitAsked { request } => write!(f, "commit-asked r{}", request.0),
            Self::AbortAsked { request, reason } => {
                write!(f, "abort-asked r{} {reason}", request.0)
            }
            Self::RetryAsked { request } => write!(f, "retry-asked r{}", request.0),
            Self::Resolved { request, branch, committed, reason } => {
                let word = if *committed { "committed" } else { "aborted" };
                write!(f, "resolved r{} #{branch} {word} {reason}", request.0)
            }
            Self::Received { message } => write!(f, "received {message}"),
        }
    }
}

impl Display for Decision {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit => f.write_str("commit"),
            Self::Abort(reason) => write!(f, "abort ({reason})"),
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.branch {
            Some(branch) => write!(f, "{branch}: {}", self.refusal.code),
            None => f.write_str(&self.refusal.code),
        }
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.run)?;
        for branch in &self.branches {
            let vote = match branch.vote {
                Voted::Yes => "yes",
                Voted::ReadOnly => "read-only",
                Voted::No => "no",
                Voted::Unknown => "unknown",
            };
            write!(f, " {}@{}={vote}", branch.name, branch.resource)?;
        }
        Ok(())
    }
}

impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegated(case) => write!(f, "Delegated {case}"),
            Self::Decided { decision, case: Some(case) } => write!(f, "Decided {decision} {case}"),
            Self::Decided { decision, case: None } => write!(f, "Decided {decision}"),
            Self::Heuristic { branch, detail } => write!(f, "Heuristic #{branch} {detail}"),
            Self::Stuck { branch, detail } => write!(f, "Stuck #{branch} {detail}"),
            Self::Resolved { branch, committed, reason } => {
                let word = if *committed { "committed" } else { "aborted" };
                write!(f, "Resolved #{branch} {word} {reason}")
            }
            Self::Begun { case, pact } => write!(f, "Begun {pact} {case}"),
            Self::PreCommitted { case, pact } => write!(f, "PreCommitted {pact} {case}"),
            Self::Claimed { ballot } => write!(f, "Claimed {ballot}"),
            Self::Promised { ballot } => write!(f, "Promised {ballot}"),
            Self::Accepted { proposal } => write!(f, "Accepted {proposal}"),
            Self::Finished => f.write_str("Finished"),
        }
    }
}

impl Display for Effect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare { run, branch, resource, one_phase, pact, .. } => {
                let held = if *one_phase { " one-phase" } else { "" };
                write!(f, "prepare {run} #{branch} at {resource}{held}")?;
                pact.iter().try_for_each(|pact| write!(f, " {pact}"))
            }
            Self::Commit { run, branch, resource, one_phase, .. } => {
                let held = if *one_phase { " one-phase" } else { "" };
                write!(f, "commit {run} #{branch} at {resource}{held}")
            }
            Self::Abort { run, branch, resource, .. } => {
                write!(f, "abort {run} #{branch} at {resource}")
            }
            Self::Arm { timer, after_ms } => write!(f, "arm {timer} after {after_ms}"),
            Self::Reply { request, answer } => write!(f, "reply r{} {answer}", request.0),
            Self::Close { run } => write!(f, "close {run}"),
            Self::Alarm { branch, detail } => write!(f, "alarm #{branch} {detail}"),
            Self::Send { to, message } => write!(f, "send {to}: {message}"),
        }
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed => f.write_str("committed"),
            Self::Aborted(reason) => write!(f, "aborted ({reason})"),
            Self::Held => f.write_str("held"),
            Self::Mixed => f.write_str("mixed"),
            Self::OtherContent => f.write_str("other content"),
            Self::Busy => f.write_str("busy"),
            Self::NoSuchTransaction => f.write_str("no such transaction"),
            Self::WrongState(state) => write!(f, "wrong state: {state}"),
            Self::Taken => f.write_str("taken"),
            Self::InquiryCommit => f.write_str("inquiry: commit"),
            Self::InquiryAbort => f.write_str("inquiry: abort"),
            Self::InquiryPending => f.write_str("inquiry: pending"),
        }
    }
}
