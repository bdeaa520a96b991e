//! `tx show` claims no more than is known.

use serde_json::json;

use crate::{
    node::node_says,
    run,
    tx::{holds, transaction},
};

/// What waits is not said to be under way.
#[test]
fn what_waits_says_for_what() {
    let open = json!([
        { "name": "a", "resource": "r", "kind": "step", "id": "1", "state": "done", "attempts": 3 },
        { "name": "p", "resource": "r", "id": "2", "state": "waiting", "after": ["a"] },
    ]);
    let tell = json!([{ "name": "tell", "resource": "r", "kind": "deliver", "id": "1",
        "state": "in-doubt", "waits_for": "o-0 (order key \"k\")" }]);
    let undo = json!([
        { "name": "a", "resource": "r", "kind": "step", "id": "1", "state": "in-doubt",
          "waits_for": "its do, which is under way" },
        { "name": "b", "resource": "r", "kind": "step", "id": "2", "state": "not-done" },
    ]);
    let (url, _asked) = node_says(vec![
        (200, transaction("unknown", "held", open)),
        (200, transaction("committed", "committing", tell)),
        (200, transaction("aborted", "aborting", undo)),
    ]);
    let show = || run(&["tx", "show", "o-1", "--server", &url]).1;
    let out = show();
    holds(
        &out,
        &[
            "Not decided: it waits for a word, and then for what is still to come.",
            "Next: still to come: p, the decision.\n",
            "done     3      -",
            "waiting  -      -",
        ],
    );
    assert!(!out.contains("all is done"), "{out}");
    holds(&show(), &["Next: branch tell is delivered after o-0 (order key \"k\").\n"]);
    let out = show();
    holds(&out, &["Next: branch a is undone after its do, which is under way.\n", " not done "]);
    assert!(!out.contains("said no") && !out.contains("being undone"), "{out}");
}

/// The first thing that is recorded is not the begin.
#[test]
fn a_begin_that_is_not_recorded_is_not_told() {
    let line = |at_ms: u64, what: &str| json!({ "at_ms": at_ms, "position": at_ms, "what": what });
    let shown = |first: &str| {
        let mut shown = transaction("aborted", "aborted", json!([]));
        shown["timeline"] = json!([line(2_000, first), line(2_500, "finished")]);
        (200, shown)
    };
    let (url, _asked) = node_says(vec![shown("decided to abort"), shown("begun")]);
    let show = || run(&["tx", "show", "o-1", "--server", &url]).1;
    let out = show();
    let since = "Its begin is not recorded; known since 1970-01-01 00:00:02.000 UTC, ";
    holds(&out, &[since, "00:00:02.000  -        #2000", "00:00:02.500  +500 ms  #2500"]);
    assert!(!out.contains("Began"), "{out}");
    holds(&show(), &["Began 1970-01-01 00:00:02.000 UTC, ", "00:00:02.000  +0 ms    #2000"]);
}

#[test]
fn how_much_happened_against_the_decision_is_told() {
    let branch = |name: &str, kind: &str, state: &str| {
        let (resource, id) = ("r", "1");
        json!({ "name": name, "resource": resource, "kind": kind, "id": id, "state": state })
    };
    let declared = |what: &str, branch: &str| {
        let at = 1;
        json!({ "at_ms": at, "position": at, "what": what, "branch": branch })
    };
    let shown = |branches, timeline, reason: bool| {
        let mut shown = transaction("unknown", "mixed", branches);
        shown["timeline"] = timeline;
        if reason {
            shown["reason"] = json!({ "code": "x", "message": "no", "retryable": false });
        }
        (200, shown)
    };
    let tells = json!([branch("a", "deliver", "resolved"), branch("b", "deliver", "resolved")]);
    let [undone, done] = ["declared undone", "declared done"];
    let step = json!([branch("a", "step", "resolved")]);
    let (url, _asked) = node_says(vec![
        shown(tells.clone(), json!([declared(undone, "a"), declared(undone, "b")]), false),
        shown(tells, json!([declared(undone, "a"), declared(done, "b")]), false),
        shown(step, json!([declared(done, "a")]), true),
    ]);
    for said in [
        "  NOTHING OF IT HAPPENED, though commit was decided: a branch ended against the decision",
        "  PART OF IT HAPPENED: a branch ended against the decision, and an operator said so.\n",
        "  ALL OF IT HAPPENED, though abort was decided: a branch ended against the decision",
    ] {
        holds(&run(&["tx", "show", "o-1", "--server", &url]).1, &[said]);
    }
}

/// Nobody answered, and nobody knows that it was done.
#[test]
fn a_step_that_cannot_be_undone_is_told_as_that() {
    let why = "it could not be called: `{{a.id}}` is missing";
    let step = |state: &str| {
        json!([{ "name": "a", "resource": "bank", "kind": "step", "id": "1", "state": state,
            "last_answer": why }])
    };
    let mut known = transaction("aborted", "aborting", step("stuck"));
    known["timeline"] = json!([{ "at_ms": 1, "position": 1, "what": "done", "branch": "a" }]);
    let (url, _asked) = node_says(vec![
        (200, transaction("aborted", "aborting", step("in-doubt"))),
        (200, transaction("aborted", "aborting", step("stuck"))),
        (200, known),
    ]);
    let show = || run(&["tx", "show", "o-1", "--server", &url]).1;
    let out = show();
    holds(&out, &["branch a cannot be undone, for it cannot be called: `{{a.id}}` is missing.\n"]);
    assert!(!out.contains("being undone"), "{out}");
    let out = show();
    holds(&out, &["It cannot be called: `{{a.id}}` is missing\n", "it is not done there  "]);
    assert!(!out.contains("last answer:") && !out.contains("it shall stay done"), "{out}");
    holds(&show(), &["it shall stay done  "]);
}
