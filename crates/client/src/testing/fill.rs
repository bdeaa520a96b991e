//! Fills `{{branch.field}}` and `{{input.field}}` in calls, as a node does.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::link::escape;

/// What may be named: outputs by branch, and `input`.
pub type Known = BTreeMap<String, Value>;

/// The name that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

/// A path: every value is percent-encoded.
pub fn path(text: &str, known: &Known) -> Result<String, Missing> {
    fill(text, known, escape)
}

/// A header's value.
pub fn header(text: &str, known: &Known) -> Result<String, Missing> {
    fill(text, known, str::to_owned)
}

/// A body: a string that is nothing but one name becomes the value itself.
pub fn body(value: &Value, known: &Known) -> Result<Value, Missing> {
    Ok(match value {
        Value::String(text) => match only_name(text) {
            Some(name) => find(name, known)?.clone(),
            None => fill(text, known, str::to_owned)?.into(),
        },
        Value::Array(items) => {
            items.iter().map(|item| body(item, known)).collect::<Result<_, _>>()?
        }
        Value::Object(fields) => {
            let filled = fields.iter().map(|(name, item)| Ok((name.clone(), body(item, known)?)));
            Value::Object(filled.collect::<Result<_, _>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

fn only_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("{{")?.strip_suffix("}}")?;
    (!name.contains("{{")).then_some(name)
}

fn fill(text: &str, known: &Known, write: fn(&str) -> String) -> Result<String, Missing> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or_else(|| Missing(after.into()))?;
        filled.push_str(before);
        filled.push_str(&write(&match find(name, known)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn find<'k>(name: &str, known: &'k Known) -> Result<&'k Value, Missing> {
    let missing = || Missing(name.trim().into());
    let mut steps = name.trim().split('.');
    let first = known.get(steps.next().unwrap_or_default()).ok_or_else(missing)?;
    let value = steps.try_fold(first, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    });
    value.ok_or_else(missing)
}
