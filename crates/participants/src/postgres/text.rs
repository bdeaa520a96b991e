//! Texts: the ones we send ourselves, and a look at those of callers.

use handfast_core::{
    id::BranchId,
    vote::Cause::Request,
    work::{Isolation, Sql},
};

use super::errors::Fault;
use crate::refusal;

/// Commands that would end or change the block under us, outlive it on the connection, or switch
/// the connection to another protocol.
const NOT_ALLOWED: [&str; 16] = [
    "abort",
    "begin",
    "checkpoint",
    "commit",
    "copy",
    "deallocate",
    "discard",
    "end",
    // What it names could only be left from another branch, by a function.
    "execute",
    "listen",
    "prepare",
    "release",
    "rollback",
    "savepoint",
    "start",
    "unlisten",
];

/// Commands that change rows, and so have a transaction id once they changed any.
const CHANGING: [&str; 4] = ["insert", "update", "delete", "merge"];
/// Commands that only read, or wrap one that changes rows.
const READING: [&str; 4] = ["select", "values", "with", "table"];

/// How much of a statement a message quotes, in characters.
const START_MAX: usize = 60;

/// Where a serializable block begins, behind its settings.
const START: &str = "hf_start";

/// Commits a serializable block that only read: with the check whether what it saw ever was, but
/// without the notifications that it asked for, since the decision is not made. Fails in a failed
/// block, as a bare COMMIT does not.
pub(super) fn commit_reads() -> String {
    format!("SHOW application_name; ROLLBACK TO SAVEPOINT {START}; COMMIT")
}

/// Opens a branch's block. Its name is shown in `pg_stat_activity` for as long as the block is
/// open: that is how an abort, even of another process, finds whoever still works on it.
pub(super) fn begin(branch: &BranchId, sql: &Sql) -> String {
    let isolation = match sql.isolation {
        None => "",
        Some(Isolation::ReadCommitted) => " ISOLATION LEVEL READ COMMITTED",
        Some(Isolation::RepeatableRead) => " ISOLATION LEVEL REPEATABLE READ",
        Some(Isolation::Serializable) => " ISOLATION LEVEL SERIALIZABLE",
    };
    let mut text = format!("BEGIN{isolation} READ WRITE; SET LOCAL application_name = '{branch}'");
    let timeouts =
        [("statement_timeout", sql.statement_timeout_ms), ("lock_timeout", sql.lock_timeout_ms)];
    for (name, ms) in timeouts {
        if let Some(ms) = ms {
            // 0 would mean without end, and the server takes no more than 31 bits.
            text.push_str(&format!("; SET LOCAL {name} = {}", ms.clamp(1, i32::MAX as u64)));
        }
    }
    if sql.isolation == Some(Isolation::Serializable) {
        text.push_str(&format!("; SAVEPOINT {START}"));
    }
    text
}

/// Refuses commands that may not be part of a branch. PostgreSQL's extended protocol takes one
/// command at a time, so the first word tells.
pub(super) fn check(text: &str) -> Result<(), Fault> {
    if text.contains('\0') {
        return Err(Fault::ours(refusal::SQL_SYNTAX, Request, "the text holds a zero byte"));
    }
    let word = first_word(text).to_ascii_lowercase();
    if NOT_ALLOWED.contains(&word.as_str()) {
        let message = format!("{} may not be part of a branch", word.to_uppercase());
        return Err(Fault::ours(refusal::SQL_NOT_ALLOWED, Request, message));
    }
    Ok(())
}

/// Whether this is an ordinary query or change of rows.
pub(super) fn is_plain(text: &str) -> bool {
    changes_rows(text) || is_one_of(text, &READING)
}

/// Whether each row that this counts is a change.
pub(super) fn changes_rows(text: &str) -> bool {
    is_one_of(text, &CHANGING)
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    let word = first_word(text);
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// The start of a statement, to tell which one is meant.
pub(super) fn start(text: &str) -> String {
    let mut start: String = text.chars().take(START_MAX).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

/// The first word of a statement, behind white space, comments and empty commands.
fn first_word(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once(['\n', '\r']).map_or("", |(_, behind)| behind)
        } else if rest.starts_with("/*") {
            behind_comment(rest)
        } else {
            break;
        };
    }
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    &rest[..end]
}

/// What follows a block comment; these nest.
fn behind_comment(text: &str) -> &str {
    let mut depth = 0usize;
    let mut rest = text;
    loop {
        let (skip, change) = match rest.as_bytes() {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            [] => return "",
            _ => (rest.chars().next().map_or(1, char::len_utf8), 0),
        };
        depth = depth.saturating_add_signed(change);
        rest = &rest[skip..];
        if depth == 0 {
            return rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_found_behind_comments() {
        let table = [
            ("COMMIT", "COMMIT"),
            (" \n\t;; commit and chain", "commit"),
            ("-- a\n--b\r rollback", "rollback"),
            ("/* a /* nested */ still */ End", "End"),
            ("/* ü */select 1", "select"),
            ("/* never closed commit", ""),
            ("-- never ended commit", ""),
            ("(select 1)", ""),
            ("", ""),
        ];
        for (text, word) in table {
            assert_eq!(first_word(text), word, "{text}");
        }
    }

    #[test]
    fn commands_that_end_the_block_are_refused() {
        for text in ["Commit", "/**/PREPARE TRANSACTION 'x'", "end", "ABORT", "rollback to a"] {
            assert!(check(text).is_err(), "{text}");
        }
        for text in ["select 1", "with a as (select 1) select * from a", "committed"] {
            assert!(check(text).is_ok(), "{text}");
        }
    }
}
