//! What branches name in their texts.

use handfast_client::{
    template::{Name, Piece, pieces},
    wire::{Branch, Call},
};
use serde_json::Value;

/// Where a branch names something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use<'a> {
    /// The field of the branch: `do`, `undo`, `sql`….
    pub field: &'static str,
    /// What is named.
    pub name: Name<'a>,
}

impl Use<'_> {
    /// Whether it is used only once the branch itself has been called, so that it may name its own
    /// output.
    pub fn comes_later(&self) -> bool {
        matches!(self.field, "undo" | "confirm" | "cancel")
    }
}

/// All that a branch names.
///
/// # Errors
/// The field, and what is wrong there in words.
pub fn uses(branch: &Branch) -> Result<Vec<Use<'_>>, (&'static str, String)> {
    let mut uses = Vec::new();
    for (field, text) in texts(branch) {
        for piece in pieces(text).map_err(|why| (field, why))? {
            if let Piece::Name(name) = piece {
                uses.push(Use { field, name });
            }
        }
    }
    for parameter in branch.sql.iter().flatten().flat_map(|statement| &statement.1) {
        if let Some(output) = parameter.get("output") {
            let name = output.as_str().and_then(Name::parse);
            let odd = || ("sql", format!("the output {output} is not a name"));
            uses.push(Use { field: "sql", name: name.ok_or_else(odd)? });
        }
    }
    Ok(uses)
}

/// Every text of a branch that may hold names.
fn texts(branch: &Branch) -> Vec<(&'static str, &str)> {
    let mut texts = Vec::new();
    let calls = [
        ("do", &branch.act),
        ("undo", &branch.undo),
        ("try", &branch.attempt),
        ("confirm", &branch.confirm),
        ("cancel", &branch.cancel),
    ];
    for (field, call) in calls {
        let Some(Call { call, headers, body }) = call else { continue };
        texts.push((field, call.as_str()));
        texts.extend(headers.values().map(|header| (field, header.as_str())));
        strings(field, body.as_ref(), &mut texts);
    }
    if let Some(message) = &branch.message {
        let lines = [&message.subject, &message.path].into_iter().flatten();
        texts.extend(lines.map(|line| ("message", line.as_str())));
        strings("message", message.data.as_ref(), &mut texts);
    }
    texts
}

/// The strings in a JSON value. It is as deep as its reader allowed, which is not deep.
fn strings<'a>(
    field: &'static str,
    value: Option<&'a Value>,
    texts: &mut Vec<(&'static str, &'a str)>,
) {
    match value {
        Some(Value::String(text)) => texts.push((field, text)),
        Some(Value::Array(list)) => list.iter().for_each(|v| strings(field, Some(v), texts)),
        Some(Value::Object(object)) => {
            object.values().for_each(|v| strings(field, Some(v), texts));
        }
        _ => {}
    }
}
