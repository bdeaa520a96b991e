//! What would follow from a word, as a person reads it.

use serde_json::json;

use super::{holds, with_calls};
use crate::{node::node_says, run};

#[test]
fn a_dry_run_is_told_as_the_node_words_it() {
    let dry = json!({
        "warning": "It would be MIXED.",
        "records": ["pay declared undone: seen", "decided to abort: as told; book done"],
        "effects": ["undo book at svc: DELETE /b\u{1b}[2J"],
        "later": ["tell at svc stays as it is: it has no undo"],
    });
    for (args, verb) in [
        (&["abort", "o-1"][..], "abort"),
        (&["commit", "o-1"], "commit"),
        (&["retry", "o-1", "pay"], "retry"),
        (&["resolve", "o-1", "pay", "--done", "--reason", "r"], "resolve"),
    ] {
        let (url, asked) = node_says(vec![(200, dry.clone())]);
        let args = [&["tx"], args, &["--dry-run", "--server", &url]].concat();
        let (code, out, err) = run(&args);
        assert_eq!((code, err.as_str()), (0, "nothing was done\n"), "{out}");
        let text = "It would be MIXED.\nIt would be recorded:\n  pay declared undone: seen\n  \
                    decided to abort: as told; book done\nThen at once:\n  undo book at svc: \
                    DELETE /b [2J\nAnd later:\n  tell at svc stays as it is: it has no undo\n";
        assert_eq!(out, text);
        let line = format!("POST /v1/transactions/o-1:{verb}?dry_run=true ");
        assert!(asked.recv().unwrap().0.starts_with(&line));
    }
    let (url, _asked) = node_says(vec![(200, json!({ "records": [], "effects": [] }))]);
    let (_, out, _) = run(&["tx", "retry", "o-1", "--dry-run", "--server", &url]);
    assert_eq!(out, "Nothing would follow.\n");
}

#[test]
fn a_dry_run_of_an_edit_shows_the_old_calls_beside_the_new() {
    let dry = json!({ "records": ["pay edited: moved"], "effects": ["do pay at svc: PUT /pay"] });
    let (url, _asked) = node_says(vec![(200, with_calls()), (200, dry), (200, with_calls())]);
    let args = ["tx", "edit", "o-1", "pay", "--do", "PUT /pay", "--body", r#"{ "n": 2 }"#];
    let more = ["--no-undo", "--reason", "moved", "--dry-run", "--server", &url];
    let (code, out, err) = run(&[&args[..], &more].concat());
    let text = "It would be recorded:\n  pay edited: moved\nThen at once:\n  do pay at svc: PUT \
                /pay\n";
    assert_eq!((code, out.as_str()), (0, text));
    let calls = "Branch pay calls:\n  do POST /pay with x-key {\"n\":1}\n\
                 From now on branch pay would call:\n  do PUT /pay {\"n\":2}\nnothing was done\n";
    assert_eq!(err, calls);
    let (url, _asked) = node_says(vec![(200, with_calls())]);
    let (_, out, _) = run(&["tx", "show", "o-1", "--server", &url]);
    holds(&out, &["  It calls: do POST /pay with x-key {\"n\":1}\n"]);
}
