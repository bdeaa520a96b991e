//! Fills `{{branch.field}}` and `{{input.field}}` in calls, as a node does.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    link::escape,
    template::{Name, Piece, pieces},
};

/// What may be named: outputs by branch, and `input`.
pub type Known = BTreeMap<String, Value>;

/// In words: a name stands for nothing, or a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

/// A path: every value is percent-encoded.
pub fn path(text: &str, known: &Known) -> Result<String, Missing> {
    fill(&pieces(text).map_err(Missing)?, known, escape)
}

/// A header's value.
pub fn header(text: &str, known: &Known) -> Result<String, Missing> {
    fill(&pieces(text).map_err(Missing)?, known, str::to_owned)
}

/// A body: a string that is nothing but one name becomes the value itself.
pub fn body(value: &Value, known: &Known) -> Result<Value, Missing> {
    Ok(match value {
        Value::String(text) => match &pieces(text).map_err(Missing)?[..] {
            [Piece::Name(name)] => find(name, known)?.clone(),
            pieces => fill(pieces, known, str::to_owned)?.into(),
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

fn fill(pieces: &[Piece<'_>], known: &Known, write: fn(&str) -> String) -> Result<String, Missing> {
    let piece = |piece: &Piece<'_>| {
        let name = match piece {
            Piece::Text(text) => return Ok((*text).into()),
            Piece::Name(name) => name,
        };
        Ok(write(&match find(name, known)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }))
    };
    pieces.iter().map(piece).collect()
}

fn find<'k>(name: &Name<'_>, known: &'k Known) -> Result<&'k Value, Missing> {
    let missing = || Missing(format!("there is no `{name}`"));
    let whole = known.get(name.root).ok_or_else(missing)?;
    let value = name.path.iter().try_fold(whole, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    });
    value.ok_or_else(missing)
}
