//! `{{branch.field}}`: where texts name what is known only when they are used.

use handfast_client::wire::{Branch, Call};
use serde_json::Value;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// What stands between `{{` and `}}`.
    Name(Name<'a>),
}

/// `book.room.id`: a branch, or `input`, and the way from its output to a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name<'a> {
    /// Before the first dot: a branch, or `input`.
    pub root: &'a str,
    /// After it: names of fields, and numbers in lists. Empty for the whole.
    pub path: Vec<&'a str>,
}

impl<'a> Name<'a> {
    /// The name of what a run is given.
    pub const INPUT: &'static str = "input";

    /// Reads `book.room.id`; `None` if a part of it is empty or holds a space or brace.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let root = parts.next()?;
        let path: Vec<_> = parts.collect();
        let odd = |c: char| c.is_whitespace() || c.is_control() || "{}".contains(c);
        let good = |part: &str| !part.is_empty() && !part.contains(odd);
        let all_good = good(root) && path.iter().all(|part| good(part));
        all_good.then_some(Self { root, path })
    }
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.root)?;
        self.path.iter().try_for_each(|part| write!(f, ".{part}"))
    }
}

/// A text in its pieces, in order; no text between two names is empty. Spaces beside a name do not
/// count: `{{ book.id }}`.
///
/// # Errors
/// In words: a `{{` without its `}}`, or what is between them is not a name.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let (name, after) =
            after.split_once("}}").ok_or_else(|| format!("`{{{{` without `}}}}` in {text:?}"))?;
        let name = Name::parse(name.trim())
            .ok_or_else(|| format!("`{{{{{name}}}}}` in {text:?} is not a name"))?;
        pieces.push(Piece::Name(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

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
