//! One-line texts of inputs, records and effects: for golden traces and logs.

use alloc::{collections::BTreeMap, string::String};
use core::fmt::{self, Display, Formatter};

use super::{Answer, Effect, Input, Inquired, Prepared, Record, Timer};
use crate::work::{KeyOp, Param, Rows, Value};

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(int) => write!(f, "{int}"),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl Display for KeyOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { key } => write!(f, "get {key}"),
            Self::Put { key, value } => write!(f, "put {key} {value}"),
            Self::Add { key, by, min, max } => {
                write!(f, "add {key} {by}")?;
                min.map_or(Ok(()), |min| write!(f, " min {min}"))?;
                max.map_or(Ok(()), |max| write!(f, " max {max}"))
            }
            Self::Delete { key } => write!(f, "delete {key}"),
            Self::Expect { key, value: Some(value) } => write!(f, "expect {key} {value}"),
            Self::Expect { key, value: None } => write!(f, "expect {key} nothing"),
        }
    }
}

impl Display for Input {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare { request, branch, ops, lock_wait_ms, pact } => {
                write!(f, "prepare r{} {branch} within {lock_wait_ms}ms", request.0)?;
                pact.iter().try_for_each(|pact| write!(f, " {pact}"))?;
                ops.iter().try_for_each(|op| write!(f, "; {op}"))
            }
            Self::Commit { request, branch } => write!(f, "commit r{} {branch}", request.0),
            Self::Abort { request, branch } => write!(f, "abort r{} {branch}", request.0),
            Self::Load { request, keys } => {
                write!(f, "load r{}", request.0)?;
                write_keys(f, keys)
            }
            Self::Answered { branch, answer } => write!(f, "answered {branch} {answer}"),
            Self::Fired(timer) => write!(f, "fired {timer}"),
            Self::Received { message } => write!(f, "received {message}"),
        }
    }
}

impl Display for Inquired {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commit => "commit",
            Self::Abort => "abort",
            Self::Pending => "pending",
            Self::Silent => "silent",
        })
    }
}

impl Display for Timer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::LockWait(branch) => write!(f, "lock-wait {branch}"),
            Self::Inquire(branch) => write!(f, "inquire {branch}"),
            Self::Lead(branch) => write!(f, "lead {branch}"),
        }
    }
}

impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded { keys } => {
                f.write_str("loaded")?;
                write_keys(f, keys)
            }
            Self::Prepared { branch, prepared } => write!(f, "prepared {branch}{prepared}"),
            Self::Committed { branch } => write!(f, "committed {branch}"),
            Self::Aborted { branch } => write!(f, "aborted {branch}"),
            Self::PreCommitted { branch } => write!(f, "precommitted {branch}"),
            Self::Claimed { branch, ballot } => write!(f, "claimed {branch} {ballot}"),
            Self::Promised { first, ballot } => write!(f, "promised {first} {ballot}"),
            Self::Accepted { first, proposal } => write!(f, "accepted {first} {proposal}"),
            Self::Snapshot(snapshot) => write!(f, "snapshot of {} keys", snapshot.keys.len()),
        }
    }
}

impl Display for Prepared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.writes {
            match value {
                Some(value) => write!(f, " {key}={value}")?,
                None => write!(f, " {key}=nothing")?,
            }
        }
        self.reads.iter().try_for_each(|key| write!(f, " read:{key}"))?;
        self.pact.iter().try_for_each(|pact| write!(f, " {pact}"))
    }
}

impl Display for Effect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply { request, answer } => write!(f, "reply r{} {answer}", request.0),
            Self::Arm { timer, after_ms } => write!(f, "arm {timer} {after_ms}ms"),
            Self::Inquire { branch } => write!(f, "inquire {branch}"),
            Self::Send { to, message } => write!(f, "send {to}: {message}"),
        }
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Voted { vote, rows } => {
                write!(f, "{vote}")?;
                rows.iter().flat_map(returned).try_for_each(|(key, value)| match value {
                    Param::Int(int) => write!(f, " {key}={int}"),
                    Param::Bytes(bytes) => write!(f, " {key}={} bytes", bytes.len()),
                    _ => write!(f, " {key}=nothing"),
                })
            }
            Self::Acked(ack) => write!(f, "{ack}"),
            Self::Forgotten => f.write_str("forgotten"),
            Self::Loaded(keys) => write!(f, "loaded {keys}"),
            Self::Locked(key) => write!(f, "locked {key}"),
            Self::Busy => f.write_str("busy"),
        }
    }
}

fn returned(rows: &Rows) -> impl Iterator<Item = (&str, &Param)> {
    rows.rows.iter().filter_map(|row| match row.as_slice() {
        [Param::Text(key), value] => Some((key.as_str(), value)),
        _ => None,
    })
}

fn write_keys(f: &mut Formatter<'_>, keys: &BTreeMap<String, Value>) -> fmt::Result {
    keys.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))
}
