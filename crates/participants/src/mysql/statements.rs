//! A look at the first words of a caller's statement.
//!
//! This does not parse SQL. It only keeps out what would end the branch behind our back, and
//! tells what is certain to leave nothing behind in the session.

use handfast_core::{vote::Cause::Request, vote::Refusal, work::Statement};

use crate::refusal::{self, refusal};

/// Commands that would start, end or prepare the branch itself, hide another command, or leave
/// its database. What would commit by itself (DDL) the server refuses within XA.
const NOT_ALLOWED: [&str; 13] = [
    "BEGIN",
    "BINLOG",
    "COMMIT",
    "DEALLOCATE",
    "EXECUTE",
    "PREPARE",
    "RELEASE",
    "ROLLBACK",
    "SAVEPOINT",
    "START",
    "USE",
    "XA",
    "KILL",
];

/// Commands after which a session is as it was before, once the transaction is over.
const TIDY: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES"];

/// How much of a statement a message quotes, in characters.
const START_MAX: usize = 60;

/// Refuses commands that may not be part of a branch.
pub(super) fn check(statement: &Statement) -> Result<(), Refusal> {
    let not_allowed = |what: &str| {
        let message = format!("{what} may not be part of a branch: {}", start(&statement.text));
        Err(refusal(refusal::SQL_NOT_ALLOWED, Request, message))
    };
    match first_word(&statement.text) {
        None => not_allowed("a statement that starts with an executable comment"),
        Some(word) if NOT_ALLOWED.contains(&word.as_str()) => not_allowed(&word),
        Some(_) => Ok(()),
    }
}

/// Whether the session can be used again after it: no settings, variables, temporary tables.
pub(super) fn is_tidy(statement: &Statement) -> bool {
    // A variable may be set in the middle of any statement.
    !statement.text.contains('@')
        && first_word(&statement.text).is_some_and(|word| TIDY.contains(&word.as_str()))
}

/// Whether it looks like one that only reads. It may still call a function that writes.
pub(super) fn is_select(statement: &Statement) -> bool {
    first_word(&statement.text).is_some_and(|word| word == "SELECT")
}

/// The start of a statement, to tell which one is meant.
pub(super) fn start(text: &str) -> String {
    let mut start: String = text.chars().take(START_MAX).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

/// The first word in capitals, behind white space, brackets and comments; empty if there is none.
/// `None` if a comment that the server executes comes first.
fn first_word(text: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| {
            c.is_whitespace() || c.is_control() || c == '(' || c == ';'
        });
        rest = if rest.starts_with("/*!") || rest.starts_with("/*M!") {
            return None;
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, behind)| behind)
        } else if rest.starts_with("--") || rest.starts_with('#') {
            rest.split_once('\n').map_or("", |(_, behind)| behind)
        } else {
            break;
        };
    }
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    Some(rest[..end].to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str) -> Statement {
        Statement { text: text.into(), ..Statement::default() }
    }

    #[test]
    fn the_first_word_is_found_behind_comments() {
        let table = [
            ("COMMIT", Some("COMMIT")),
            (" \n\t; commit and chain", Some("COMMIT")),
            ("-- a\n#b\n rollback", Some("ROLLBACK")),
            ("/* a */ (select 1)", Some("SELECT")),
            ("/*! commit */", None),
            ("/*M!100000 xa end */", None),
            ("/* never closed commit", Some("")),
            ("xa\u{a0}end", Some("XA")),
            ("", Some("")),
        ];
        for (text, word) in table {
            assert_eq!(first_word(text).as_deref(), word, "{text}");
        }
    }

    #[test]
    fn commands_that_end_the_branch_are_refused() {
        for text in ["Commit", "/**/XA END 'x'", "start transaction", "execute immediate 'xa'"] {
            assert!(check(&statement(text)).is_err(), "{text}");
        }
        for text in ["select 1", "with a as (select 1) select * from a", "committed", "call p()"] {
            assert!(check(&statement(text)).is_ok(), "{text}");
        }
    }

    #[test]
    fn only_plain_statements_are_tidy() {
        for text in ["select 1", "insert into t values (1)", "(select 2)"] {
            assert!(is_tidy(&statement(text)), "{text}");
        }
        for text in ["set x = 1", "select @a := 1", "call p()", "create temporary table t (a int)"]
        {
            assert!(!is_tidy(&statement(text)), "{text}");
        }
    }
}
