//! `handfast demo`: everything at once, on a small scale.

use serde_json::Value;

use crate::run;

/// Runs it with so many kills of three kinds of victim, and checks what it reports.
fn demo(more: &[&str]) -> Value {
    let args = ["demo", "--transfers", "150", "--kills", "3", "--seed", "7", "--json"];
    let (code, out, err) = run(&[&args, more].concat());
    assert_eq!(code, 0, "{out}\n{err}");
    let report: Value = serde_json::from_str(&out).expect(&err);
    assert_eq!(report["money_before"], 200_000);
    assert_eq!(report["money_after"], 200_000);
    // The interesting cases were reached.
    assert!(report["committed"].as_u64().unwrap() > 50, "{out}");
    assert!(!report["aborted"].as_object().unwrap().is_empty(), "{out}");
    assert_eq!(report["kills"].as_object().unwrap().len(), 3, "{out}");
    report
}

#[test]
fn no_money_is_lost_while_everything_is_killed() {
    demo(&[]);
}

/// Two nodes, one of which dies for good; then the same by log, where it comes back.
#[test]
fn banks_finish_without_the_first_node() {
    // Three-phase commit may split what is decided while something else is away or slow.
    for (decide, kills) in [("paxos", "3"), ("three_phase", "1")] {
        let args = ["demo", "--transfers", "400", "--seed", "7", "--json"];
        let (code, out, err) = run(&[&args[..], &["--decide", decide, "--kills", kills]].concat());
        assert_eq!(code, 0, "{out}\n{err}");
        let both: Value = serde_json::from_str(&out).expect(&err);
        let (chosen, log) = (&both["chosen"], &both["log"]);
        assert_eq!((&chosen["decide"], &log["decide"]), (&decide.into(), &"log".into()));
        for report in [chosen, log] {
            assert_eq!(report["transfers"], 200);
            assert_eq!(report["money_before"], report["money_after"]);
            assert_eq!(report["kills"]["the first node"], 1, "{out}");
            assert_eq!(report["left_in_doubt"], true, "{out}");
            assert!(report["committed"].as_u64().unwrap() > 30, "{out}");
        }
        // Somebody was in doubt until the node was back, which is after 5 s.
        assert!(log["longest_in_doubt_ms"].as_u64().unwrap() > 4_000, "{out}");
    }
}

#[test]
fn a_way_to_decide_needs_banks_of_its_own() {
    let resource = ["--resource", "a=postgres://x/a", "--resource", "b=postgres://x/b"];
    let (code, _, err) = run(&[&["demo", "--decide", "paxos"][..], &resource].concat());
    assert_eq!(code, 2, "{err}");
}

#[test]
fn no_money_is_lost_between_real_databases() {
    let Some((postgres, mysql)) = databases() else { return };
    let (checking, savings) = (format!("checking={postgres}"), format!("savings={mysql}"));
    let report = demo(&["--resource", &checking, "--resource", &savings]);
    assert_eq!(report["banks"][0], "checking");
    // Both in one database: they must not take each other's names.
    let savings = format!("savings={postgres}");
    demo(&["--resource", &checking, "--resource", &savings]);
}

/// The test servers, if there are any.
fn databases() -> Option<(String, String)> {
    let first = |name: &str| {
        let urls = std::env::var(name).ok()?;
        urls.split(',').next().map(str::to_owned)
    };
    let found = first("HANDFAST_TEST_POSTGRES").zip(first("HANDFAST_TEST_MYSQL"));
    if found.is_none() {
        let required = ["CI", "HANDFAST_TEST_REQUIRED"].iter().any(|v| std::env::var(v).is_ok());
        assert!(!required, "no database servers are given; use `cargo xtask test`");
        eprintln!("NOT RUN: the demo over databases: use `cargo xtask test`");
    }
    found
}
