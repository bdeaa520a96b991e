//! `{{branch.field}}`: where texts name what is known only when they are used.

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
