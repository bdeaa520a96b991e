//! Rules for source files: lengths, and what must not be left behind.

use crate::repo::File;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 60;
const COLUMNS_MAX: usize = 100;

/// What stands for unfinished work. Written in halves, or this file would not pass.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("#[ig", "nore"),
];

/// Checks one file.
pub fn check(file: &File, findings: &mut Vec<String>) {
    let File { path, .. } = file;
    if file.is("rs") {
        lengths(file, findings);
        functions(file, findings);
    }
    if file.is("rs") || file.is("toml") || file.is("sh") || path.starts_with(".ci/") {
        for (number, line) in file.lines() {
            for word in UNFINISHED.iter().filter(|word| contains_word(line, word)) {
                findings.push(format!("{path}:{number}: `{word}` is left here"));
            }
        }
    }
    if path.starts_with("crates/core/src/") {
        pure(file, findings);
    }
}

fn lengths(file: &File, findings: &mut Vec<String>) {
    let path = &file.path;
    let lines = file.lines().count();
    if lines > FILE_LINES_MAX && !path.contains("/tests/") {
        findings.push(format!("{path}:{lines}: longer than {FILE_LINES_MAX} lines"));
    }
    for (number, line) in file.lines().filter(|(_, line)| line.chars().count() > COLUMNS_MAX) {
        let columns = line.chars().count();
        findings.push(format!("{path}:{number}: {columns} columns, more than {COLUMNS_MAX}"));
    }
}

/// rustfmt puts the end of a function at the indentation of its beginning.
fn functions(file: &File, findings: &mut Vec<String>) {
    let lines: Vec<&str> = file.text.lines().collect();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut rest = lines[start..].iter().enumerate();
        let end = rest.find_map(|(length, line)| {
            let line = line.strip_prefix(indent)?;
            let ends = line.starts_with('}') || ends_at_once(length, line);
            ends.then_some(length + 1)
        });
        if let Some(length) = end.filter(|length| *length > FUNCTION_LINES_MAX) {
            findings.push(format!(
                "{}:{}: a function of {length} lines, more than {FUNCTION_LINES_MAX}",
                file.path,
                start + 1
            ));
        }
    }
}

/// A body on one line, or none, as in a trait; the signature may take several lines.
fn ends_at_once(length: usize, line: &str) -> bool {
    let unindented = !line.starts_with(' ');
    unindented && (line.ends_with(';') || (length == 0 && line.ends_with('}')))
}

fn begins_function(line: &str) -> bool {
    let words = line.split_whitespace();
    let before: Vec<&str> = words.take_while(|word| *word != "fn").collect();
    let qualifier = |word: &&str| {
        word.starts_with("pub") || ["async", "const", "unsafe", "extern", "\"C\""].contains(word)
    };
    line.contains("fn ") && before.iter().all(qualifier)
}

/// The core is pure: `no_std` does not keep a test build, or a macro, from naming these.
fn pure(file: &File, findings: &mut Vec<String>) {
    for (number, line) in file.lines().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for word in ["std::", "extern crate std", "HashMap", "HashSet"] {
            if contains_word(line, word) {
                findings.push(format!("{}:{number}: the core must not use `{word}`", file.path));
            }
        }
    }
}

/// Whether `word` stands in `line` as a word of its own.
fn contains_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let open_end = !word.ends_with(part) || !line[at + word.len()..].starts_with(part);
        open_end && (!word.starts_with(part) || !line[..at].ends_with(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&File { path: path.into(), text: text.into() }, &mut findings);
        findings
    }

    #[test]
    fn a_long_function_is_found_and_a_short_one_is_not() {
        let function = |lines: usize| {
            format!(
                "impl X {{\n    pub fn f(\n        x: u8,\n    ) {{\n{}    }}\n\n{}}}\n",
                "        call();\n".repeat(lines - 4),
                "    fn g();\n    const fn h() {}\n".repeat(40)
            )
        };
        assert_eq!(findings("a.rs", &function(60)), [""; 0]);
        assert_eq!(
            findings("a.rs", &function(61)),
            ["a.rs:2: a function of 61 lines, more than 60"]
        );
    }

    #[test]
    fn leftovers_and_long_lines_are_found() {
        let text = format!("let x = 1; // {}: later\n{}\n", UNFINISHED[0], "x".repeat(101));
        assert_eq!(findings("a.rs", &text).len(), 2);
        assert_eq!(findings("a.rs", "let mastodons = TODOS;").len(), 0);
        assert_eq!(findings("a.rs", &"x\n".repeat(501)).len(), 1);
    }

    #[test]
    fn the_core_is_pure() {
        let path = "crates/core/src/x.rs";
        assert_eq!(
            findings(path, "use std::time;\n"),
            ["crates/core/src/x.rs:1: the core must not use `std::`"]
        );
        assert_eq!(findings(path, "// std::time\nuse no_std::x;\n"), [""; 0]);
        assert_eq!(findings("crates/log/src/x.rs", "use std::time;\n"), [""; 0]);
    }
}
