//! Pictures.

use handfast_client::wire::Transaction;
use handfast_saga::{graph, graph_of};
use serde_json::{Value, json};

use crate::{example, saga};

/// The class of every line, in order.
fn lines<'a>(svg: &'a str, class: &str) -> Vec<&'a str> {
    let start = format!("<path class=\"{class}\" d=\"");
    let ends = format!("url(#hf-{class})");
    svg.lines().filter(|line| line.contains(&start) && line.contains(&ends)).collect()
}

/// Every tag is closed, and no text holds one. Enough for what is written here.
fn is_well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("open tag: {tag}"));
        let name = tag.split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{svg}"),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!svg.contains(|c: char| c.is_control() && c != '\n'));
}

#[test]
fn a_definition_is_drawn_through_its_decision() {
    let svg = graph(&example()).unwrap();
    is_well_formed(&svg);
    // hotel and flight to payment, payment to books, books to the decision, that to the ticket;
    // back from the decision to payment, from there to hotel and flight.
    let legend = 1;
    assert_eq!(lines(&svg, "go").len(), 5 + legend);
    assert_eq!(lines(&svg, "undo").len(), 3 + legend);
    for part in
        ["travel 1", "step · hotels", "POST /rooms", "decision", "prefers-color-scheme:dark"]
    {
        assert!(svg.contains(part), "{part}");
    }
}

#[test]
fn nodes_of_a_column_do_not_overlap_and_lines_run_to_the_right() {
    let branches: Vec<String> = (0..30)
        .map(|i: usize| {
            let after: Vec<_> =
                [i / 2, i / 3].iter().filter(|a| **a < i).map(|a| format!("b{a}")).collect();
            let after = after.join(", ");
            format!(
                "{{name: b{i}, resource: r, kind: step, do: GET /, undo: GET /, after: [{after}]}}"
            )
        })
        .collect();
    let svg = graph(&saga(&branches.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
    is_well_formed(&svg);
    let number = |line: &str, name: &str| -> i32 {
        let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let boxes: Vec<_> = svg.lines().filter(|line| line.contains("<rect class=\"node\"")).collect();
    assert_eq!(boxes.len(), 30);
    let places: Vec<_> = boxes.iter().map(|line| (number(line, "x"), number(line, "y"))).collect();
    for (index, (x, y)) in places.iter().enumerate() {
        let apart = |(ox, oy): &(i32, i32)| (ox - x).abs() >= 190 || (oy - y).abs() >= 66;
        assert!(places[..index].iter().all(apart), "{places:?}");
    }
}

#[test]
fn what_has_no_order_is_not_drawn() {
    let cycle = saga(&["{name: a, resource: r, kind: step, do: GET /, after: [a]}"]);
    assert_eq!(graph(&cycle).unwrap_err()[0].code, "cycle");
}

fn transaction(state: &str, outcome: &str, branches: Value) -> Transaction {
    let value =
        json!({ "gid": "trip-1", "outcome": outcome, "state": state, "branches": branches });
    serde_json::from_value(value).unwrap()
}

fn branch(name: &str, state: &str, after: &[&str]) -> Value {
    json!({ "name": name, "resource": "r", "kind": "step", "id": "x", "state": state,
            "after": after })
}

#[test]
fn a_transaction_shows_what_each_branch_is_at_and_the_way_back() {
    let at = |state: &str| {
        json!([
            branch("a", state, &[]),
            branch("b", state, &["a"]),
            branch("c", "refused", &["a", "b"])
        ])
    };
    let svg = graph_of(&transaction("running", "unknown", at("done")));
    is_well_formed(&svg);
    assert_eq!((lines(&svg, "go").len(), lines(&svg, "undo").len()), (3 + 1, 0));
    assert!(svg.contains("not decided") && svg.contains("class=\"node bad\""));
    let svg = graph_of(&transaction("aborted", "aborted", at("undone")));
    assert_eq!(lines(&svg, "undo").len(), 2 + 1);
    assert_eq!(svg.matches("class=\"node back\"").count(), 2);
}

#[test]
fn text_of_others_stays_text() {
    let bad = "</text><script>alert(1)</script>\u{1b}[31m\u{0}&\"'";
    let mut view = branch("a", "stuck", &[]);
    view["last_answer"] = bad.into();
    view["resource"] = bad.into();
    let mut transaction = transaction("aborting", "aborted", json!([view]));
    transaction.gid = bad.into();
    let svg = graph_of(&transaction);
    is_well_formed(&svg);
    assert!(!svg.contains("<script"), "{svg}");
    assert!(svg.contains("&lt;script&gt;"));
    let mut saga = saga(&["{name: a, resource: r, kind: step, do: GET /}"]);
    saga.description = bad.repeat(50);
    saga.branches[0].name = bad.into();
    is_well_formed(&graph(&saga).unwrap());
}

#[test]
fn an_odd_transaction_is_drawn_all_the_same() {
    for branches in [
        json!([]),
        json!([branch("a", "done", &["a"]), branch("a", "done", &["nobody"])]),
        json!((0..100).map(|i| branch(&format!("b{i}"), "done", &[])).collect::<Vec<_>>()),
    ] {
        is_well_formed(&graph_of(&transaction("running", "unknown", branches)));
    }
}
