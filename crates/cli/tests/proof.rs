//! What proves and shows: `sim`, `check` and `lab`.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::{handfast, run};

fn json(args: &[&str]) -> (i32, Value) {
    let (code, out, err) = run(&[&["--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}")))
}

#[test]
fn the_checker_counts_as_others_do() {
    let (code, rows) = json(&["check", "published"]);
    assert_eq!(code, 0);
    let counted = |model: &str, parameters: &str| {
        let rows = rows.as_array().unwrap();
        let is_it = |row: &&Value| row["model"] == model && row["parameters"] == parameters;
        rows.iter().find(is_it).unwrap()["counted"].as_u64().unwrap()
    };
    assert_eq!(counted("TCommit", "3 RMs"), 34);
    assert_eq!(counted("TwoPhase", "3 RMs"), 288);
    assert_eq!(counted("TwoPhase", "5 RMs"), 8_832);
}

#[test]
fn what_holds_exits_with_0() {
    let (code, report) = json(&["check", "two-phase"]);
    assert_eq!((code, &report["verdict"]), (0, &"holds".into()));
    let reached = report["reached"].as_array().unwrap();
    for case in ["told committed", "told aborted", "a crash", "an orphan finished"] {
        assert!(reached.contains(&case.into()), "{report}");
    }
    assert_eq!(report["never_reached"], serde_json::json!([]), "{report}");
    let (_, out, _) = run(&["check", "two-phase", "--crashes", "0"]);
    assert!(!out.contains("a crash;") && !out.contains("never reached"), "{out}");
    let (_, out, _) = run(&["check", "two-phase", "--states", "10"]);
    assert!(out.contains("never reached: told committed; "), "{out}");
    assert!(!out.contains("takeover"), "there is nobody to take over: {out}");
    let (code, out, _) = run(&["check", "two-phase", "--crashes", "0", "--refines"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("holds in every state"), "{out}");
}

#[test]
fn three_phase_commit_with_slow_answers_is_split_and_exits_with_1() {
    let three_phase = ["check", "three-phase", "--crashes", "0"];
    let (code, report) = json(&[&three_phase[..], &["--delays", "2"]].concat());
    assert_eq!((code, &report["verdict"]), (1, &"violated".into()), "{report}");
    let trace = report["trace"].as_array().unwrap();
    assert!(trace.iter().any(|line| line.as_str().unwrap().contains("precommit")), "{report}");
    let (code, out, _) = run(&three_phase);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn what_is_not_finished_exits_with_2_and_says_so() {
    let (code, out, err) = run(&["check", "two-phase", "--states", "10"]);
    assert_eq!(code, 2, "{out}{err}");
    assert!(out.contains("not finished"), "{out}");
}

#[test]
fn the_same_seed_walks_the_same_way() {
    let walk = || {
        let (code, mut report) = json(&["sim", "--seed", "7", "--steps", "2000"]);
        assert_eq!(code, 0, "{report}");
        report.as_object_mut().unwrap().remove("seconds");
        report
    };
    let report = walk();
    assert!(report["steps"].as_u64().unwrap() >= 2_000);
    assert_eq!(report, walk());
}

#[test]
fn what_the_checker_found_is_saved_and_walked_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trace");
    let file = file.to_str().unwrap();
    let three_phase = ["check", "three-phase", "--crashes", "0", "--cuts", "1", "--save", file];
    let (code, report) = json(&three_phase);
    assert_eq!(code, 1, "{report}");
    let (code, replayed) = json(&["sim", "--replay", file]);
    assert_eq!(code, 1, "{replayed}");
    assert_eq!(replayed["violation"], report["violation"]);
    assert_eq!(replayed["steps"], report["trace"].as_array().unwrap().len());

    // One step less, and nothing is violated.
    let text = std::fs::read_to_string(file).unwrap();
    let (shorter, last) = text.trim_end().rsplit_once('\n').unwrap();
    std::fs::write(file, shorter).unwrap();
    assert_eq!(run(&["sim", "--replay", file]).0, 0, "without {last}");
    // A trace that is cut off proves nothing.
    let world = text.split_once("\n> ").unwrap().0;
    std::fs::write(file, world).unwrap();
    let (code, out, err) = run(&["sim", "--replay", file]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("it has no steps"), "{err}");
    // What cannot happen there is no trace.
    std::fs::write(file, format!("{shorter}\n> c7 dies\n")).unwrap();
    let (code, _, err) = run(&["sim", "--replay", file]);
    assert_eq!(code, 2);
    assert!(err.contains("cannot happen there: c7 dies"), "{err}");
}

/// Who asks for a proof with a fault that is not there would take it for one.
#[test]
fn flags_that_say_nothing_are_refused() {
    for (what, flag, value) in [
        ("two-phase", "--leaders", Some("2")),
        ("two-phase", "--faults", Some("1")),
        ("two-phase", "--restarts", None),
        ("shards", "--ballots", Some("4")),
        ("two-phase", "--all", None),
        ("three-phase", "--faults", Some("2")),
        ("published", "--branches", Some("3")),
        ("published", "--crashes", Some("2")),
        ("published", "--refines", None),
    ] {
        let args = ["check", what, flag].into_iter().chain(value).collect::<Vec<_>>();
        let (code, out, err) = run(&args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(&format!("{flag} says nothing about {what}")), "{err}");
    }
}

/// Ctrl-C and SIGTERM end a walk, and what it has seen is told.
#[test]
fn a_walk_that_is_stopped_tells_how_far_it_came_and_exits_with_2() {
    use std::io::{BufRead as _, BufReader, Read as _};
    for (args, signal, said) in [
        (&["sim", "--steps", "1000000"][..], Signal::INT, "\"finished\": false"),
        (
            &["check", "three-phase", "--crashes", "0", "--cuts", "1", "--ballots", "0"],
            Signal::INT,
            "\"verdict\": \"not_finished\"",
        ),
        (&["check", "published", "--all"], Signal::TERM, "\"not finished\""),
    ] {
        let mut command = handfast(&[&["--json"], args].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        // When it has said what it does it hears signals.
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2), "{args:?}: {out}{line}");
        assert!(out.contains(said), "{args:?}: {out}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_walk() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("no/such/dir");
    let long = ["check", "two-phase", "--branches", "5", "--crashes", "5", "--drops", "5"];
    let (code, out, err) = run(&[&long[..], &["--save", nowhere.to_str().unwrap()]].concat());
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("failed to write to"), "{err}");
    // Where nothing is violated, nothing is written, and what is there stays.
    let there = dir.path().join("there");
    std::fs::write(&there, "before").unwrap();
    for file in [&there, &dir.path().join("new")] {
        let (code, ..) =
            run(&["check", "two-phase", "--crashes", "0", "--save", file.to_str().unwrap()]);
        assert_eq!((code, file.exists()), (0, *file == there));
    }
    assert_eq!(std::fs::read_to_string(there).unwrap(), "before");
}

#[test]
fn the_lab_writes_its_report_where_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("report");
    let (code, experiments) =
        json(&["lab", "--trials", "50", "--out", out.to_str().unwrap(), "naive", "split"]);
    assert_eq!(code, 0);
    let names: Vec<_> = experiments.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["naive", "split"]);
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("<h2 id=\"split\">") && page.contains("ABORTED"), "{page}");
    assert!(out.join("naive.svg").exists() && !out.join("latency.svg").exists());
    let (code, _, err) = run(&["lab", "nonsense"]);
    assert_eq!(code, 2);
    assert!(err.contains("naive"), "{err}");
}
