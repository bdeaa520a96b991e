//! What would follow from a word, as a person reads it.

use serde_json::json;

use super::{holds, running, transaction, with_calls};
use crate::{node::node_says, run};

#[test]
fn a_dry_run_names_branches_and_what_comes_later() {
    let dry = json!({
        "records": ["Decided abort (caller_abort) 1.1 book@svc=yes", "Edited #1 moved",
                    "Resolved #1 aborted seen", "Odd #9"],
        "effects": ["undo 1.1 #1 at svc try 1", "arm retry 1.1 #1 after 5", "odd #0"],
    });
    for (args, verb) in [
        (&["abort", "o-1"][..], "abort"),
        (&["commit", "o-1"], "commit"),
        (&["retry", "o-1", "pay"], "retry"),
        (&["resolve", "o-1", "pay", "--done", "--reason", "r"], "resolve"),
    ] {
        let (url, asked) = node_says(vec![(200, dry.clone()), (200, running())]);
        let args = [&["tx"], args, &["--dry-run", "--server", &url]].concat();
        let (code, out, err) = run(&args);
        assert_eq!((code, err.as_str()), (0, "nothing was done\n"), "{out}");
        let text = "It would be recorded:\n  the decision to abort\n  pay has other calls: \
                    moved\n  pay is declared undone: seen\n  Odd #9\nThen at once:\n  undo pay \
                    at svc\n  odd #0\nAnd later:\n  undo book at \
                    svc, if it has an undo\n";
        assert_eq!(out, text);
        let line = format!("POST /v1/transactions/o-1:{verb}?dry_run=true ");
        assert!(asked.recv().unwrap().0.starts_with(&line));
    }
}

#[test]
fn a_dry_run_says_which_calls_would_leave_and_what_stays() {
    let mut whole = with_calls();
    whole["branches"][1]["state"] = "done".into();
    let dry = json!({ "records": ["Decided abort (caller_abort) 1.1"], "effects": [] });
    let (url, _asked) = node_says(vec![(200, dry), (200, whole)]);
    let (_, out, _) = run(&["tx", "abort", "o-1", "--dry-run", "--server", &url]);
    let later = "And later:\n  pay at svc stays as it is: it has no undo\n  undo book at svc: \
                 DELETE /b\n";
    assert!(out.ends_with(later), "{out}");
}

/// What follows from `commit` is told to the end, as far as anybody can know it.
#[test]
fn a_dry_run_of_a_commit_says_what_comes_after_the_votes() {
    let mut whole = with_calls();
    whole["state"] = "held".into();
    whole["branches"][1]["state"] = "done".into();
    let dry = json!({ "records": ["Sealed"], "effects": ["prepare 1.1 #2 at svc"] });
    let (url, _asked) = node_says(vec![(200, dry), (200, whole)]);
    let (_, out, _) = run(&["tx", "commit", "o-1", "--dry-run", "--server", &url]);
    let text = "It would be recorded:\n  no branch can be added any more\nThen at once:\n  prepare \
                seat at svc\nAnd later:\n  the decision when all have voted\n  if that is to \
                commit: deliver tell at svc\n  if that is to abort: pay at svc stays as it is: it \
                has no undo\n  if that is to abort: undo book at svc: DELETE /b\n";
    assert_eq!(out, text);
}

#[test]
fn a_dry_run_says_what_cannot_be_called_and_what_follows() {
    let dry = json!({
        "records": ["Resolved #0 committed seen", "Decided abort (pay: missing_output) 1.1"],
        "effects": ["do 1.1 #1 at svc is not called: `{{book.id}}` is missing",
                    "undo 1.1 #0 at svc try 1"],
    });
    let (url, _asked) = node_says(vec![(200, dry), (200, with_calls())]);
    let args = ["tx", "resolve", "o-1", "book", "--done", "--reason", "r", "--dry-run"];
    let (_, out, _) = run(&[&args[..], &["--server", &url]].concat());
    let text = "It would be recorded:\n  book is declared done: seen\n  the decision to abort\n\
                Then at once:\n  do pay at svc: POST /pay cannot be called, for `{{book.id}}` is \
                missing\n  undo book at svc: DELETE /b\n";
    assert_eq!(out, text);
}

#[test]
fn a_dry_run_of_an_edit_shows_the_old_calls_beside_the_new() {
    let dry = json!({ "records": ["Edited #1 moved"], "effects": ["do 1.1 #1 at svc try 1"] });
    let (url, _asked) = node_says(vec![(200, with_calls()), (200, dry), (200, with_calls())]);
    let args = ["tx", "edit", "o-1", "pay", "--do", "PUT /pay", "--body", r#"{ "n": 2 }"#];
    let more = ["--no-undo", "--reason", "moved", "--dry-run", "--server", &url];
    let (code, out, err) = run(&[&args[..], &more].concat());
    let text = "It would be recorded:\n  pay has other calls: moved\nThen at once:\n  do pay at \
                svc: PUT /pay\nAnd later:\n  seat, then the decision when all have voted\n  if \
                that is to commit: deliver tell at svc\n  if that is to abort: undo book at svc: \
                DELETE /b\n";
    assert_eq!((code, out.as_str()), (0, text));
    let calls = "Branch pay calls:\n  do POST /pay with x-key {\"n\":1}\n\
                 From now on branch pay would call:\n  do PUT /pay {\"n\":2}\nnothing was done\n";
    assert_eq!(err, calls);
    let (url, _asked) = node_says(vec![(200, with_calls())]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(&out, &["  It calls: do POST /pay with x-key {\"n\":1}\n"]);
}

#[test]
fn a_dry_run_says_first_that_the_end_would_be_mixed() {
    let dry = json!({ "records": ["Resolved #0 committed seen", "Finished"], "effects": [] });
    let branch = json!([{ "name": "a", "resource": "r", "id": "1", "state": "stuck" }]);
    for (outcome, state, is_mixed) in
        [("aborted", "aborting", true), ("committed", "committing", false)]
    {
        let whole = transaction(outcome, state, branch.clone());
        let (url, _asked) = node_says(vec![(200, dry.clone()), (200, whole)]);
        let args = ["tx", "resolve", "o-1", "a", "--done", "--reason", "r", "--dry-run"];
        let (code, out, _) = run(&[&args[..], &["--server", &url]].concat());
        assert_eq!(
            (code, out.starts_with("It would be finished, MIXED: ")),
            (0, is_mixed),
            "{out}"
        );
    }
}
