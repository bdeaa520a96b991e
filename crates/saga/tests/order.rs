//! What comes before what.

use handfast_saga::{Misplaced, Order};

use crate::saga;

/// `a<b` for every pair in which `a` comes right before `b`.
fn pairs(branches: &[&str]) -> Result<String, Vec<Misplaced>> {
    let branches = saga(branches).branches;
    let order = Order::of(&branches)?;
    let near = |index: usize| order.right_before(index).map(move |before| (before, index));
    let pair = |(a, b): (usize, usize)| format!("{}<{}", branches[a].name, branches[b].name);
    let pairs: Vec<_> = (0..branches.len()).flat_map(near).map(pair).collect();
    Ok(pairs.join(" "))
}

const A: &str = "{name: a, resource: r, kind: step, do: GET /}";
const B: &str = "{name: b, resource: r, kind: step, do: GET /}";
const P: &str = "{name: p, resource: r, sql: []}";
const Q: &str = "{name: q, resource: r, sql: []}";
const D: &str = "{name: d, resource: r, kind: deliver, do: GET /}";

#[test]
fn the_list_is_the_order_unless_after_says_otherwise() {
    assert_eq!(pairs(&[]).unwrap(), "");
    assert_eq!(pairs(&[P, A, D, B, Q]).unwrap(), "b<p a<b b<q");
    let beside = "{name: b, resource: r, kind: step, do: GET /, after: []}";
    assert_eq!(pairs(&[A, beside, P]).unwrap(), "a<p b<p");
    let after_p = "{name: b, resource: r, kind: step, do: GET /, after: [p]}";
    // `p` cannot come after a step that comes after itself; `q` comes after both.
    assert_eq!(pairs(&[A, P, after_p, Q]).unwrap(), "a<p p<b b<q");
}

#[test]
fn defaults_never_make_a_cycle() {
    let after_p = "{name: s, resource: r, kind: step, do: GET /, after: [p]}";
    let after_q = "{name: t, resource: r, kind: step, do: GET /, after: [q]}";
    assert_eq!(pairs(&[P, Q, after_p, after_q]).unwrap(), "t<p p<s q<t");
}

#[test]
fn what_is_between_is_left_out_of_what_comes_right_before() {
    let c = "{name: c, resource: r, kind: step, do: GET /, after: [a, b]}";
    assert_eq!(pairs(&[A, B, c]).unwrap(), "a<b b<c");
    let branches = saga(&[A, B, c]).branches;
    let order = Order::of(&branches).unwrap();
    assert_eq!(order.before(2).collect::<Vec<_>>(), [0, 1]);
    assert!(order.is_before(0, 2) && !order.is_before(2, 0) && !order.is_before(0, 0));
}

#[test]
fn a_sequence_keeps_the_order() {
    let first = "{name: z, resource: r, kind: step, do: GET /, after: [b]}";
    let alone = "{name: a, resource: r, kind: step, do: GET /, after: []}";
    let branches =
        saga(&[D, P, first, alone, "{name: b, resource: r, kind: step, do: GET /, after: [a]}"]);
    let order = Order::of(&branches.branches).unwrap();
    let sequence = order.sequence();
    let place = |index: usize| sequence.iter().position(|at| *at == index).unwrap();
    for index in 0..5 {
        assert!(order.before(index).all(|before| place(before) < place(index)), "{sequence:?}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let branches = [
        "{name: a, resource: r, kind: step, do: GET /, after: [b]}",
        "{name: b, resource: r, kind: step, do: GET /, after: [a, nobody]}",
        "{name: c, resource: r, kind: step, do: GET /, after: [b]}",
        "{name: e, resource: r, kind: step, do: GET /, after: [d]}",
        D,
        D,
        "{name: own, resource: r, kind: step, do: GET /, after: [own]}",
    ];
    let text = |fault: &Misplaced| format!("{}: {fault}", fault.branch().unwrap());
    let faults: Vec<_> = pairs(&branches).unwrap_err().iter().map(text).collect();
    assert_eq!(
        faults,
        [
            "b: it is said to come after \"nobody\", and no branch is called so",
            "e: it cannot come after \"d\": deliveries leave after the decision",
            "d: two branches are called \"d\"",
            "a: \"a\", \"b\" wait for each other",
            "c: it can never run: it comes after \"a\", \"b\", which wait for each other",
            "own: \"own\" comes after itself",
        ]
    );
}

#[test]
fn too_many_branches_are_refused_before_they_are_looked_at() {
    let many: Vec<String> =
        (0..65).map(|i| format!("{{name: b{i}, resource: r, kind: step, do: GET /}}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(pairs(&many), Err(vec![Misplaced::TooMany(65)]));
    assert!(pairs(&many[..64]).is_ok());
}
