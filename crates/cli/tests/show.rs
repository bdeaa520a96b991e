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
