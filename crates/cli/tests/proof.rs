//! What proves and shows: `sim`, `check` and `lab`.

use serde_json::Value;

use crate::run;

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
    // What cannot happen there is no trace.
    std::fs::write(file, format!("{shorter}\n> c7 dies\n")).unwrap();
    let (code, _, err) = run(&["sim", "--replay", file]);
    assert_eq!(code, 2);
    assert!(err.contains("cannot happen there: c7 dies"), "{err}");
}

#[test]
fn more_than_one_leads_only_in_paxos_commit() {
    let (code, out, err) = run(&["check", "two-phase", "--leaders", "2"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("--leaders is about Paxos commit"), "{err}");
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
