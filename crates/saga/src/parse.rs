//! Text to definition, or to what else of the wire's words stands in a file.

use std::fmt;

use serde::de::DeserializeOwned;

/// Most characters that are told of why a text cannot be read.
const SHOWN_MAX: usize = 300;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As JSON.
    Json,
    /// As YAML, of which nearly all JSON is a part.
    Yaml,
}

impl Format {
    /// What a text is most likely meant to be: JSON if it begins with a quoted key.
    pub fn of(text: &str) -> Self {
        let rest = text.trim_start().strip_prefix('{').map(str::trim_start);
        match rest {
            Some(rest) if rest.is_empty() || rest.starts_with(['"', '}']) => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Why a text cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// As what it was read.
    pub read_as: Format,
    /// Line and column, both from 1; `None` where the reader could not tell.
    pub at: Option<(usize, usize)>,
    /// What is wrong there.
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read_as = match self.read_as {
            Format::Json => "JSON",
            Format::Yaml => "YAML",
        };
        match self.at {
            Some((line, column)) => {
                write!(f, "line {line}, column {column}: {} (read as {read_as})", self.why)
            }
            None => write!(f, "{} (read as {read_as})", self.why),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Reads a definition, a transaction or a branch from JSON or YAML, whichever it is. That it can be
/// read says nothing of its sense: see [`validate`](crate::validate). For files of one's own: YAML
/// can be written so that reading it takes a time quadratic in its size.
///
/// # Errors
/// It is not one of them, or it has a field that is unknown, missing or of another type.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    parse_as(text, Format::of(text))
}

/// As [`parse`], where it is known what the text is meant to be: if it is neither, that one's error
/// is told.
///
/// # Errors
/// As of [`parse`].
pub fn parse_as<T: DeserializeOwned>(text: &str, meant: Format) -> Result<T, Unreadable> {
    // YAML would take JSON too, but not tell of its errors in the words of JSON.
    let not_json = match json(text) {
        Ok(read) => return Ok(read),
        // What is too deep for JSON is so for YAML, which takes long to find that.
        Err(too_deep) if too_deep.why.starts_with("recursion limit") => return Err(too_deep),
        Err(not_json) => not_json,
    };
    yaml(text).map_err(|not_yaml| match meant {
        Format::Json => not_json,
        Format::Yaml => not_yaml,
    })
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    serde_json::from_str(text)
        .map_err(|e| unreadable(Format::Json, Some((e.line(), e.column())), &e.to_string()))
}

fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    yaml_serde::from_str(text).map_err(|e| {
        let at = e.location().map(|at| (at.line(), at.column()));
        let unreadable = unreadable(Format::Yaml, at, &e.to_string());
        let mut lines = text.lines().skip(at.map_or(0, |(line, _)| line.saturating_sub(1)));
        let is_bare = match at {
            Some(_) => lines.next().is_some_and(has_bare_braces),
            None => lines.any(has_bare_braces),
        };
        let hint = if is_bare { "; a text with `{{` needs quotes here" } else { "" };
        Unreadable { why: unreadable.why + hint, ..unreadable }
    })
}

/// Whether a line has `{{` where YAML takes it for the beginning of a map: at the beginning of a
/// value, or within `{ … }` or `[ … ]`; and not in quotes.
fn has_bare_braces(line: &str) -> bool {
    let (mut quote, mut depth, mut before) = (None, 0_u32, ':');
    for (at, c) in line.char_indices() {
        let begins = matches!(before, ':' | ',' | '[' | '{' | '-');
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => continue,
            (None, '{') if line[at..].starts_with("{{") && (begins || depth > 0) => return true,
            (None, '\'' | '"') if begins => quote = Some(c),
            (None, '{' | '[') if begins => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    false
}

/// Both readers put the place at the end of what they say, too.
fn unreadable(read_as: Format, at: Option<(usize, usize)>, said: &str) -> Unreadable {
    let place = at.map(|(line, column)| format!(" at line {line} column {column}"));
    let why = match place {
        Some(place) => said.replacen(&place, "", 1),
        None => said.into(),
    };
    Unreadable { read_as, at, why: shortened(why) }
}

/// Readers repeat what they could not use, which may be the whole file, between what is wrong with
/// it and what they expected.
fn shortened(why: String) -> String {
    let head = why.char_indices().nth(SHOWN_MAX / 2);
    let tail = why.char_indices().nth_back(SHOWN_MAX / 2);
    match (head, tail) {
        (Some((head, _)), Some((tail, _))) if head < tail => {
            format!("{}…{}", &why[..head], &why[tail..])
        }
        _ => why,
    }
}
