//! One-line texts of inputs, records and effects: for golden traces, the simulator and the log.

use core::fmt::{self, Display, Formatter};

use super::{
    Answer, BranchSpec, Case, Decision, Effect, Input, Reason, Record, Timer, Tried, Voted,
};
use crate::{
    id::RunId,
    plan::{Given, Kind, Part, Plan, Verb},
    vote::{Ack, Later, Reply, Vote},
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
            Self::Deadline(run) => write!(f, "deadline {run}"),
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
            Self::Unsent(detail) => write!(f, "unsent {detail}"),
            Self::Later(later) => write!(f, "{later}"),
            Self::Broken(detail) => write!(f, "broken {detail}"),
            Self::InProgress(after_ms) => write!(f, "in progress, again after {after_ms}"),
        }
    }
}

impl Display for Reply {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(output) if output.0.is_empty() => f.write_str("done"),
            Self::Done(output) => write!(f, "done {}", output.0),
            Self::Refused(refusal) => write!(f, "refused {}", refusal.code),
            Self::InProgress(after_ms) => write!(f, "in progress, again after {after_ms}"),
            Self::Unsent(detail) => write!(f, "unsent {detail}"),
            Self::Later(later) => write!(f, "{later}"),
            Self::Unknown(detail) => write!(f, "unknown {detail}"),
            Self::Broken(detail) => write!(f, "broken {detail}"),
        }
    }
}

impl Display for Later {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let known = if self.may_be_done { "unknown" } else { "not done" };
        write!(f, "{known}, again after {}: {}", self.after_ms, self.detail)
    }
}

impl Display for Given {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let early = if self.is_early { "early, " } else { "" };
        write!(f, "{early}try {}", self.attempt)?;
        self.outputs.iter().try_for_each(|(branch, output)| write!(f, " #{branch}={}", output.0))
    }
}

impl Display for Input {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(begin) => {
                write!(f, "begin r{} run {}", begin.request.0, begin.run)?;
                for branch in &begin.branches {
                    write!(f, " {branch}")?;
                }
                Ok(())
            }
            Self::Voted { run, branch, vote, .. } => write!(f, "voted {run} #{branch} {vote}"),
            Self::Acked { run, branch, ack, .. } => write!(f, "acked {run} #{branch} {ack}"),
            Self::Answered { run, branch, reply, took_ms } => {
                write!(f, "answered {run} #{branch} after {took_ms}: {reply}")
            }
            Self::AskedBack { run, reply } => write!(f, "asked back {run} {reply}"),
            Self::Add { request, branch } => write!(f, "add r{} {branch}", request.0),
            Self::Edit { request, branch, reason, .. } => {
                write!(f, "edit r{} #{branch} {reason}", request.0)
            }
            Self::Fired(timer) => write!(f, "fired {timer}"),
            Self::Inquired { request, run } => write!(f, "inquired r{} {run}", request.0),
            Self::CommitAsked { request } => write!(f, "commit-asked r{}", request.0),
            Self::AbortAsked { request, reason } => {
                write!(f, "abort-asked r{} {reason}", request.0)
            }
            Self::RetryAsked { request, branch: None } => write!(f, "retry-asked r{}", request.0),
            Self::RetryAsked { request, branch: Some(branch) } => {
                write!(f, "retry-asked r{} #{branch}", request.0)
            }
            Self::Resolved { request, branch, committed, reason } => {
                let word = if *committed { "committed" } else { "aborted" };
                write!(f, "resolved r{} #{branch} {word} {reason}", request.0)
            }
            Self::Received { message } => write!(f, "received {message}"),
        }
    }
}

impl Display for BranchSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.resource)?;
        match self.part.kind {
            Kind::Prepare if self.part.after.is_empty() => Ok(()),
            _ => write!(f, " {}", self.part),
        }
    }
}

/// `step`, `prepare after 0 1`.
impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Prepare => "prepare",
            Kind::Step => "step",
            Kind::Deliver => "deliver",
        })?;
        if !self.after.is_empty() {
            f.write_str(" after")?;
        }
        self.after.iter().try_for_each(|branch| write!(f, " {branch}"))
    }
}

/// `plan (open; step, step after 0)`.
impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("plan (")?;
        if self.terms.open {
            f.write_str("open; ")?;
        }
        for (at, planned) in self.branches.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", planned.part)?;
        }
        f.write_str(")")
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
            branch.tried.iter().try_for_each(|tried| write!(f, " ({tried})"))?;
        }
        Ok(())
    }
}

/// `10 ms`, `2 tries, 10 ms`.
impl Display for Tried {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.times != 1 {
            write!(f, "{} tries, ", self.times)?;
        }
        write!(f, "{} ms", self.last_ms)
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
            Self::Begun { case, pact, plan } => {
                f.write_str("Begun")?;
                pact.iter().try_for_each(|pact| write!(f, " {pact}"))?;
                plan.iter().try_for_each(|plan| write!(f, " {plan}"))?;
                write!(f, " {case}")
            }
            Self::Added { name, resource, planned } => {
                write!(f, "Added {name}@{resource} {}", planned.part)
            }
            Self::Sealed => f.write_str("Sealed"),
            Self::AskedBack => f.write_str("AskedBack"),
            Self::Done { branch, output, declared, tried } => {
                write!(f, "Done #{branch}")?;
                if !output.0.is_empty() {
                    write!(f, " {}", output.0)?;
                }
                declared.iter().try_for_each(|reason| write!(f, " declared: {reason}"))?;
                tried.iter().try_for_each(|tried| write!(f, " ({tried})"))
            }
            Self::AskStuck { detail } => write!(f, "AskStuck {detail}"),
            Self::Applied { branch, tried } => {
                write!(f, "Applied #{branch}")?;
                tried.iter().try_for_each(|tried| write!(f, " ({tried})"))
            }
            Self::Edited { branch, reason, .. } => write!(f, "Edited #{branch} {reason}"),
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
            Self::Call { run, branch, resource, verb, given, .. } => {
                let verb = match verb {
                    Verb::Deliver => "deliver",
                    // What is numbered is called a try, too.
                    Verb::Try => "reserve",
                    verb => verb.name(),
                };
                write!(f, "{verb} {run} #{branch} at {resource} {given}")
            }
            Self::Ask { run, resource, given, .. } => write!(f, "ask {run} at {resource} {given}"),
            Self::Arm { timer, after_ms } => write!(f, "arm {timer} after {after_ms}"),
            Self::ArmAt { timer, at_ms } => write!(f, "arm {timer} at {at_ms}"),
            Self::Reply { request, answer } => write!(f, "reply r{} {answer}", request.0),
            Self::Recall { run } => write!(f, "recall {run}"),
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
            Self::Added => f.write_str("added"),
            Self::Done(output) => write!(f, "done {}", output.0),
            Self::Mixed => f.write_str("mixed"),
            Self::OtherContent => f.write_str("other content"),
            Self::Busy => f.write_str("busy"),
            Self::NoSuchTransaction => f.write_str("no such transaction"),
            Self::WrongState(state) => write!(f, "wrong state: {state}"),
            Self::CallUnderWay => f.write_str("call under way"),
            Self::Taken => f.write_str("taken"),
            Self::InquiryCommit => f.write_str("inquiry: commit"),
            Self::InquiryAbort => f.write_str("inquiry: abort"),
            Self::InquiryPending => f.write_str("inquiry: pending"),
        }
    }
}
