//! The wire's words into the core's: statements, parameters, key operations.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use handfast_client::wire;
use handfast_core::{
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    work::{Isolation, KeyOp, Param, Sql, Statement, Value, Work},
};
use serde_json::Value as Json;

use super::{codes, problem::Problem};
use crate::config::Limits;

/// Statements for a database.
///
/// # Errors
/// The first thing that is wrong with them.
pub fn sql(
    statements: Vec<wire::Statement>,
    isolation: Option<wire::Isolation>,
    (statement_timeout_ms, lock_timeout_ms): (Option<u64>, Option<u64>),
    limits: &Limits,
) -> Result<Work, Problem> {
    check_count(statements.len(), limits)?;
    let statements = statements
        .into_iter()
        .enumerate()
        .map(|(index, statement)| self::statement(index, statement, limits))
        .collect::<Result<_, _>>()?;
    let isolation = isolation.map(|level| match level {
        wire::Isolation::ReadCommitted => Isolation::ReadCommitted,
        wire::Isolation::RepeatableRead => Isolation::RepeatableRead,
        wire::Isolation::Serializable => Isolation::Serializable,
    });
    Ok(Work::Sql(Sql { statements, isolation, statement_timeout_ms, lock_timeout_ms }))
}

/// Operations on keys of a shard.
///
/// # Errors
/// The first thing that is wrong with them.
pub fn keys(ops: Vec<wire::KeyOp>, limits: &Limits) -> Result<Work, Problem> {
    check_count(ops.len(), limits)?;
    ops.into_iter().map(key_op).collect::<Result<_, _>>().map(Work::Keys)
}

fn check_count(count: usize, limits: &Limits) -> Result<(), Problem> {
    let max = limits.statements_max;
    match count {
        0 => Err(Problem::new(&codes::NO_STATEMENTS, "its list of work is empty")),
        _ if count > max => Err(Problem::new(
            &codes::TOO_MANY_STATEMENTS,
            format!("the branch has {count}; the limit is {max}"),
        )
        .up_to("limits.statements_max", max)),
        _ => Ok(()),
    }
}

fn statement(
    index: usize,
    wire::Statement(text, params, options): wire::Statement,
    limits: &Limits,
) -> Result<Statement, Problem> {
    // People count from 1.
    let which = index + 1;
    let bad = |problem: String| {
        Err(Problem::new(&codes::BAD_TEXT, format!("the text of statement {which} {problem}")))
    };
    if text.trim().is_empty() {
        return bad("is empty".into());
    }
    if text.len() > limits.text_bytes_max {
        return bad(format!("is longer than {} bytes", limits.text_bytes_max));
    }
    if text.contains('\0') {
        return bad("holds a NUL".into());
    }
    if params.len() > limits.params_max {
        let (count, max) = (params.len(), limits.params_max);
        let detail = format!("statement {which} has {count} parameters; the limit is {max}");
        let problem = Problem::new(&codes::TOO_MANY_PARAMS, detail);
        return Err(problem.up_to("limits.params_max", max));
    }
    let params = params
        .into_iter()
        .enumerate()
        .map(|(place, value)| {
            param(value).map_err(|problem| {
                let place = place + 1;
                let detail = format!("parameter {place} of statement {which} {problem}");
                Problem::new(&codes::BAD_PARAMETER, detail)
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Statement { text, params, rows: options.rows, returns: options.returns })
}

fn param(value: Json) -> Result<Param, &'static str> {
    match value {
        Json::Null => Ok(Param::Null),
        Json::Bool(truth) => Ok(Param::Bool(truth)),
        Json::String(text) => Ok(Param::Text(text)),
        Json::Number(number) => match (number.as_i64(), number.is_u64(), number.as_f64()) {
            (Some(whole), ..) => Ok(Param::Int(whole)),
            (None, false, Some(real)) => Ok(Param::Real(real.into())),
            _ => Err("is a whole number beyond 64 bits with sign; send it as a string"),
        },
        Json::Object(object) if object.len() == 1 && object.contains_key("output") => {
            let name = object["output"].as_str().ok_or("names an output with what is no text")?;
            Ok(Param::Output(name.into()))
        }
        value @ Json::Object(_) => bytes(&value).map(Param::Bytes),
        Json::Array(_) => Err("is a list; send what the database shall read as a string"),
    }
}

/// Reads `{"bytes": "<base64>"}`.
fn bytes(value: &Json) -> Result<Vec<u8>, &'static str> {
    let object = value.as_object().filter(|object| object.len() == 1);
    let text = object.and_then(|object| object.get("bytes")?.as_str());
    let text = text.ok_or("is an object other than {\"bytes\": …} or {\"output\": …}")?;
    BASE64.decode(text).map_err(|_| "holds bytes that are not base64")
}

fn key_op(op: wire::KeyOp) -> Result<KeyOp, Problem> {
    Ok(match op {
        wire::KeyOp::Get { key } => KeyOp::Get { key: checked_key(key)? },
        wire::KeyOp::Delete { key } => KeyOp::Delete { key: checked_key(key)? },
        wire::KeyOp::Add { key, by, min, max } => {
            KeyOp::Add { key: checked_key(key)?, by, min, max }
        }
        wire::KeyOp::Put { key, value } => {
            let value = self::value(&key, value)?
                .ok_or_else(|| bad_key(&key, "cannot be put to null; use `delete`"))?;
            KeyOp::Put { key: checked_key(key)?, value }
        }
        wire::KeyOp::Expect { key, value } => {
            let value = self::value(&key, value)?;
            KeyOp::Expect { key: checked_key(key)?, value }
        }
    })
}

fn checked_key(key: String) -> Result<String, Problem> {
    match key.len() {
        0 => Err(bad_key(&key, "is empty")),
        length if length > KEY_BYTES_MAX => Err(bad_key(&key, "is too long")),
        _ => Ok(key),
    }
}

fn value(key: &str, value: Json) -> Result<Option<Value>, Problem> {
    let bytes = match value {
        Json::Null => return Ok(None),
        Json::Number(number) => {
            let whole = number.as_i64().map(Value::Int).map(Some);
            return whole.ok_or_else(|| bad_key(key, "has a value that is no 64-bit integer"));
        }
        Json::String(text) => text.into_bytes(),
        Json::Object(_) => {
            bytes(&value).map_err(|problem| bad_key(key, &format!("has a value that {problem}")))?
        }
        Json::Bool(_) | Json::Array(_) => {
            return Err(bad_key(key, "has a value that is neither an integer nor a string"));
        }
    };
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(bad_key(key, "has a value that is too long"));
    }
    Ok(Some(Value::Bytes(bytes)))
}

fn bad_key(key: &str, problem: &str) -> Problem {
    let shown: String = key.chars().take(64).collect();
    Problem::new(&codes::BAD_KEY, format!("the key {shown:?} {problem}"))
}
