//! Help, wrong command lines, and the page that documents both.

use crate::{ended, handfast, run};

const COMMANDS: &[&[&str]] = &[
    &["serve"],
    &["shard"],
    &["demo"],
    &["demo", "saga"],
    &["tx", "ls"],
    &["tx", "show"],
    &["tx", "begin"],
    &["tx", "add"],
    &["tx", "commit"],
    &["tx", "abort"],
    &["tx", "retry"],
    &["tx", "edit"],
    &["tx", "resolve"],
    &["saga", "apply"],
    &["saga", "ls"],
    &["saga", "show"],
    &["saga", "lint"],
    &["saga", "run"],
    &["saga", "graph"],
    &["resource", "ls"],
    &["resource", "check"],
    &["sim"],
    &["check"],
    &["lab"],
    &["barrier", "schema"],
];

#[test]
fn help_is_data_and_its_exit_code_is_0() {
    for command in COMMANDS {
        let (code, out, err) = run(&[*command, &["--help"]].concat());
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("Usage: handfast"), "{out}");
        assert!(out.contains("--json"), "{out}");
    }
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out.starts_with("handfast ")), (0, true));
}

#[test]
fn wrong_command_lines_are_talk_and_exit_with_2() {
    for args in [
        &[][..],
        &["nonsense"],
        &["tx"],
        &["tx", "show"],
        &["tx", "ls", "--limit", "0"],
        &["tx", "ls", "--limit", "5", "--all"],
        &["tx", "resolve", "g", "b", "--outcome", "committed"],
        &["tx", "resolve", "g", "b", "--outcome", "unknown", "--reason", "r"],
        &["tx", "resolve", "g", "b", "--reason", "r"],
        &["tx", "resolve", "g", "b", "--done", "--undone", "--reason", "r"],
        &["tx", "abort"],
        &["tx", "abort", "g", "--state", "stuck"],
        &["tx", "abort", "g", "--yes"],
        &["tx", "retry", "--state", "stuck", "--yes", "--dry-run"],
        &["tx", "edit", "g", "b", "--do", "POST /x"],
        &["tx", "edit", "g", "b", "--undo", "POST /x", "--reason", "r"],
        &["tx", "edit", "g", "b", "--branch-file", "f", "--reason", "r"],
        &["tx", "begin", "/nowhere"],
        &["tx", "add", "g", "/nowhere"],
        &["demo", "--transfers", "0"],
        &["check"],
        &["check", "nonsense"],
        &["check", "paxos", "--branches", "0"],
        &["sim", "--steps", "0"],
        &["lab", "nonsense"],
        &["saga", "graph"],
        &["saga", "graph", "x", "--tx", "g"],
        &["saga", "run", "s", "--input", "{"],
        &["barrier", "schema"],
        &["barrier", "schema", "--for", "nonsense"],
        &["lab", "--sync-ms", "101"],
        &["demo", "--resource", "one=postgres://x"],
        &["demo", "--resource", "one"],
        &["tx", "ls", "--server", "not an address"],
        &["tx", "ls", "--server", "http://user:secret@127.0.0.1:1"],
        &["tx", "ls", "--token-file", "/nowhere"],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(!err.is_empty() && !err.contains("secret"), "{args:?}: {err}");
    }
}

#[test]
fn a_wrong_resource_is_not_repeated_because_it_may_hold_a_password() {
    let (code, _, err) = run(&["serve", "--resource", "=postgres://u:hunter2@h/d"]);
    assert_eq!(code, 2);
    assert!(!err.contains("hunter2"), "{err}");
}

#[test]
fn a_node_that_is_not_there_gives_4_and_a_cure() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("http://{free}");
    let (code, out, err) = run(&["tx", "ls", "--server", &server]);
    assert_eq!((code, out.as_str()), (4, ""));
    assert!(err.contains("handfast serve"), "{err}");
    let output = handfast(&["--json", "resource", "ls"]).env("HANDFAST_SERVER", server).output();
    let (code, out, err) = ended(output.unwrap());
    assert_eq!((code, out.as_str()), (4, ""));
    let error: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!(error["exit"], 4);
}

#[test]
fn the_barriers_table_is_written_for_every_database() {
    for database in ["postgres", "mysql", "sqlite"] {
        let (code, out, err) = run(&["barrier", "schema", "--for", database]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("CREATE TABLE IF NOT EXISTS handfast_barrier"), "{database}: {out}");
    }
}

#[test]
fn the_page_names_every_command_and_flag() {
    let page = include_str!("../../../docs/cli.md");
    for command in COMMANDS {
        let name = format!("handfast {}", command.join(" "));
        assert!(page.contains(&name), "docs/cli.md does not name `{name}`");
        let (_, help, _) = run(&[*command, &["--help"]].concat());
        let words = help.split_whitespace().filter(|word| word.starts_with("--"));
        for flag in words {
            let flag = flag.split('[').next().expect("split gives one part at least");
            let flag = flag.trim_end_matches([',', '.', ';', '…']);
            assert!(page.contains(flag), "docs/cli.md does not name `{flag}` of `{name}`");
        }
    }
}

#[test]
fn who_names_no_transaction_is_told_of_filters_too() {
    for verb in ["retry", "abort", "commit"] {
        let (code, _, err) = run(&["tx", verb]);
        assert_eq!(code, 2);
        assert!(err.contains("GID|--state <STATE>|--resource <NAME>"), "{err}");
    }
}
