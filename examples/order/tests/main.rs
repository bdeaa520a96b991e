//! The example, run as users run it.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// Its exit code, and what it says.
fn order(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_handfast-example-order")).args(args).output();
    let output = output.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// What was done, undone and left at a service.
fn row(said: &str, service: &str) -> [u32; 3] {
    let mut lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = lines.find(|line| line.len() == 4 && line[0] == service).unwrap();
    [1, 2, 3].map(|column: usize| row[column].parse().unwrap())
}

#[test]
fn all_orders_are_complete_if_nothing_fails() {
    let (code, said) = order(&["--orders", "30", "--together"]);
    assert_eq!(code, 0, "{said}");
    for service in ["order", "payment", "inventory", "shipping"] {
        assert_eq!(row(&said, service), [30, 0, 30], "{said}");
    }
}

#[test]
fn what_is_refused_at_the_end_is_undone_everywhere() {
    let (code, said) = order(&["--orders", "30", "--fail", "shipping", "--together"]);
    assert_eq!(code, 0, "{said}");
    for service in ["order", "payment", "inventory"] {
        assert_eq!(row(&said, service), [30, 30, 0], "{said}");
    }
    assert_eq!(row(&said, "shipping"), [0, 0, 0], "{said}");
}

#[test]
fn answers_that_are_lost_do_no_harm() {
    let trouble = ["--flaky", "0.3", "--slow", "5", "--fail-rate", "0.2"];
    let (code, said) = order(&[&["--orders", "60", "--together"], &trouble[..]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(row(&said, "payment")[1] > 0, "{said}");
}

#[test]
fn kills_do_no_harm() {
    let kills = ["--orders", "120", "--kills", "6", "--fail-rate", "0.2", "--seed", "7"];
    let (code, said) = order(&kills);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 × everything at once"), "{said}");
    let [_, refunds, charges] = row(&said, "payment");
    assert!(refunds > 0 && charges > 0, "{said}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for wrong in [&["--fail-rate", "2"][..], &["--fail", "nobody"], &["--together", "--kills", "1"]]
    {
        let (code, said) = order(wrong);
        assert_eq!(code, 2, "{said}");
    }
}
