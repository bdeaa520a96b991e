//! The example, run as users run it.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// Its exit code, and what it says.
fn travel(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_handfast-example-travel")).args(args).output();
    let output = output.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// Runs it over the test server, if there is one.
fn over_postgres(args: &[&str]) -> Option<String> {
    let Ok(urls) = std::env::var("HANDFAST_TEST_POSTGRES") else {
        let required = ["CI", "HANDFAST_TEST_REQUIRED"].iter().any(|v| std::env::var(v).is_ok());
        assert!(!required, "no database servers are given; use `cargo xtask test`");
        eprintln!("NOT RUN: the travel example: use `cargo xtask test`");
        return None;
    };
    let first = urls.split(',').next().unwrap();
    let (code, said) = travel(&[&["--postgres", first], args].concat());
    assert_eq!(code, 0, "{said}");
    Some(said)
}

/// What was done, undone and left at one of those who take part.
fn row(said: &str, who: &str) -> [u32; 3] {
    let mut lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = lines.find(|line| line.len() == 4 && line[0] == who).unwrap();
    [1, 2, 3].map(|column: usize| row[column].parse().unwrap())
}

#[test]
fn a_trip_without_trouble_is_booked_by_all() {
    let Some(said) = over_postgres(&["--trips", "20", "--together"]) else { return };
    for who in ["flight", "car", "hotel", "invoice", "mail"] {
        assert_eq!(row(&said, who), [20, 0, 20], "{who}: {said}");
    }
}

#[test]
fn whoever_refuses_nothing_is_left() {
    for who in ["flight", "car", "hotel", "invoice"] {
        let args = ["--trips", "10", "--together", "--fail", who];
        let Some(said) = over_postgres(&args) else { return };
        for who in ["flight", "car", "hotel", "invoice", "mail"] {
            assert_eq!(row(&said, who)[2], 0, "{who}: {said}");
        }
    }
}

#[test]
fn kills_and_lost_answers_do_no_harm() {
    let args = ["--trips", "100", "--kills", "6", "--fail-rate", "0.2", "--flaky", "0.05"];
    let Some(said) = over_postgres(&[&args[..], &["--seed", "7"]].concat()) else { return };
    assert!(said.contains("1 × everything at once"), "{said}");
    assert!(row(&said, "mail")[2] > 20, "{said}");
}

#[test]
fn without_a_database_it_says_how_to_get_one() {
    let (code, said) = travel(&[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--postgres"), "{said}");
    let (code, said) = travel(&["--help"]);
    assert!(code == 0 && said.contains("cargo xtask servers"), "{said}");
}
