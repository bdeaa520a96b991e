//! What had better be otherwise.

use handfast_client::wire::{FindingLevel, SagaDefinition, SagaFinding};
use handfast_saga::{lint, parse};

use crate::{codes, saga};

fn warnings(branches: &[&str]) -> Vec<SagaFinding> {
    let findings = lint(&saga(branches));
    codes(&findings, FindingLevel::Warning);
    findings
}

#[track_caller]
fn finds(branches: &[&str], wanted: &[(&str, &str)]) -> Vec<SagaFinding> {
    let findings = warnings(branches);
    assert_eq!(codes(&findings, FindingLevel::Warning), wanted, "{findings:?}");
    findings
}

/// A step; an undo unless the rest says otherwise.
fn step(name: &str, rest: &str) -> String {
    let undo = if rest.contains("compensation: none") { "" } else { ", undo: DELETE /" };
    format!("{{name: {name}, resource: r, kind: step, do: POST /{undo}{rest}}}")
}

const P: &str = "{name: p, resource: r, sql: []}";
const BARE: &str = "{name: bare, resource: r, kind: step, do: POST /}";

#[test]
fn a_step_without_undo_comes_last() {
    let a = step("a", "");
    let found = finds(&[BARE, &a], &[("no_undo", "bare")]);
    assert_eq!(found[0].message, "it cannot be taken back, and when it is done a can still fail");
    assert_eq!(found[0].better, "this order: a, bare");
    finds(&[&a, BARE], &[]);
    let easy = "{name: bare, resource: r, kind: step, do: POST /, compensation: easy}";
    finds(&[easy, &a], &[]);
    // A branch that prepares may fail too, and always comes after.
    let found = finds(&[&a, BARE, P], &[("no_undo", "bare")]);
    assert!(found[0].better.contains("make it a delivery"), "{found:?}");
}

#[test]
fn hard_steps_come_late_and_impossible_ones_last() {
    let [a, b] = ["a", "b"].map(|name| step(name, ""));
    let hard = step("hard", ", compensation: hard");
    let none = step("none", ", compensation: none");
    let found = finds(&[&none, &hard, &a, &b, P], &[("no_undo", "none"), ("hard_early", "hard")]);
    // What remains is said beside it, for the order alone does not silence it.
    let partly = "partly, this order: a, b, hard, none, p, but p can fail then, too; give it an \
                  `undo`; or make it a delivery, which leaves when nothing can fail any more";
    assert_eq!(found[0].better, partly);
    finds(&[&a, &b, &hard, &none, P], &[("no_undo", "none")]);
    assert_eq!(found[1].better, "this order: a, b, hard, none, p");
    finds(&[&a, &b, &hard, &none], &[]);
    // Two that are equally hard have no better order.
    finds(&[&a, &hard, &step("harder", ", compensation: hard")], &[]);
}

#[test]
fn the_better_order_keeps_what_is_needed() {
    let hard = step("hard", ", compensation: hard");
    let uses = "{name: uses, resource: r, kind: step, do: 'POST /{{hard.id}}', undo: DELETE /}";
    let found = finds(&[&hard, uses], &[("hard_early", "hard")]);
    assert!(found[0].better.contains("a reservation"), "{found:?}");
    let free = step("free", "");
    let found = finds(&[&hard, uses, &free], &[("hard_early", "hard")]);
    let partly = "partly, this order: free, hard, uses, but uses can fail then, too; ";
    assert!(found[0].better.starts_with(partly), "{found:?}");
    let said = step("said", ", after: [hard]");
    let found = finds(&[&hard, &said, &free], &[("hard_early", "hard")]);
    assert!(found[0].better.starts_with("partly, this order: free, hard, said,"), "{found:?}");
}

#[test]
fn side_by_side_is_not_before() {
    let beside = step("hard", ", compensation: hard, after: []");
    let found = finds(&[&step("a", ""), &beside], &[("hard_early", "hard")]);
    assert_eq!(found[0].better, "this order: a, hard; with `after: [a]`");
}

#[test]
fn the_order_it_proposes_has_no_risk_that_an_order_could_avoid() {
    let [a, b] = ["a", "b"].map(|name| step(name, ""));
    let hard = step("hard", ", compensation: hard");
    let none = step("none", ", compensation: none");
    let all = [none.as_str(), &hard, &b, &a];
    let better = &warnings(&all)[0].better;
    let names = better.strip_prefix("this order: ").unwrap().split(", ");
    let by_name = |name: &str| *all.iter().find(|b| b.contains(&format!("name: {name},"))).unwrap();
    finds(&names.map(by_name).collect::<Vec<_>>(), &[]);
}

#[test]
fn an_undo_does_not_need_the_answer_to_its_do() {
    let named = |undo: &str| {
        format!("{{name: a, resource: r, kind: step, do: POST /, undo: {{call: {undo}}}}}")
    };
    let found = finds(&[&named("'DELETE /{{a.id}}'")], &[("undo_needs_output", "a")]);
    let message = "`undo` uses {{a.id}}: when the answer to `do` is lost there is none, and it is \
                   stuck";
    assert_eq!(found[0].message, message);
    assert!(found[0].better.contains("{{input.id}}"), "{found:?}");
    finds(&[&named("POST /, body: ['{{a}}']")], &[("undo_needs_output", "a")]);
    // What another has put out is known by then.
    let other = "{name: b, resource: r, kind: step, do: POST /, undo: 'DELETE /{{a.id}}'}";
    finds(&[&step("a", ""), other], &[]);
    let reserved = |cancel: &str| {
        format!("{{name: a, resource: r, try: POST /, confirm: 'PUT /{{{{a.id}}}}', {cancel}}}")
    };
    finds(&[&reserved("cancel: DELETE /")], &[]);
    let found = finds(&[&reserved("cancel: 'DELETE /{{a.id}}'")], &[("undo_needs_output", "a")]);
    assert!(found[0].message.contains("the answer to `try`"), "{found:?}");
}

#[test]
fn steps_under_locks_are_told() {
    let found = finds(&[P, &step("a", ", after: [p]")], &[("step_under_locks", "a")]);
    assert!(found[0].message.starts_with("p is prepared already"), "{found:?}");
}

#[test]
fn deliveries_depend_on_something() {
    let empty = "{name: d, resource: r, kind: deliver, message: {type: t}}";
    finds(&[empty], &[("only_deliveries", ""), ("constant_delivery", "d")]);
    let full = "{name: d, resource: r, kind: deliver, message: {type: t, data: '{{a.id}}'}}";
    finds(&[&step("a", ""), full], &[]);
}

#[test]
fn times_are_said() {
    let saga =
        |branch: &str| parse(&format!("name: s\nversion: 1\nbranches:\n  - {branch}\n")).unwrap();
    let code = |saga: &SagaDefinition| lint(saga)[0].code.clone();
    // A step in progress is given up in time: what waits without end is a stuck one.
    assert!(lint(&saga(&step("a", "")))[0].message.contains("a step that is stuck"));
    assert_eq!(code(&saga(&step("a", ""))), "no_deadline");
    assert_eq!(code(&saga(P)), "no_timeout");
}

#[test]
fn what_is_used_of_the_input_is_promised_by_its_schema() {
    let with = |schema: &str| {
        let text = format!(
            "name: s\nversion: 1\ndeadline_ms: 1\n{schema}branches:\n  - {{name: a, resource: r, \
             kind: step, do: 'POST /{{{{input.x}}}}/{{{{input.x}}}}', undo: DELETE /}}\n"
        );
        let findings = lint(&parse(&text).unwrap());
        findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(with(""), ["input_unchecked"]);
    assert_eq!(with("input: {properties: {y: {}}}\n"), ["input_unchecked"]);
    assert_eq!(with("input: {properties: {x: {}}}\n"), ["input_optional"]);
    assert_eq!(with("input: {properties: {x: {}}, required: [x]}\n"), [""; 0]);
    assert_eq!(with("input: {allOf: [{required: [x]}]}\n"), [""; 0]);
}

#[test]
fn errors_come_alone() {
    let findings = lint(&saga(&[BARE, "{name: b, resource: r, kind: step, do: x}"]));
    assert_eq!(codes(&findings, FindingLevel::Error), [("bad_branch", "b")]);
}

/// Braces are YAML's own: within `{ … }` it takes `{{x}}` for a map.
#[test]
fn braces_without_quotes_are_hinted_at() {
    let read = |call: &str| {
        let text = format!("name: s\nversion: 1\nbranches:\n  - name: a\n    do: {call}\n");
        parse::<SagaDefinition>(&text)
    };
    for call in ["{ call: PUT /v1/{{input.x}} }", "{ call: POST /, body: {{input.x}} }", "{{a.b}}"]
    {
        let why = read(call).unwrap_err().to_string();
        assert!(why.contains("needs quotes"), "{call}: {why}");
    }
    let other = read("{ call: POST /, odd: 1 }").unwrap_err().to_string();
    assert!(!other.contains("quotes"), "{other}");
    for call in ["PUT /v1/{{input.x}}", "{ call: 'PUT /v1/{{input.x}}', odd: 1 }"] {
        let why = read(call).unwrap_err().to_string();
        assert!(!why.contains("quotes"), "{call}: {why}");
    }
}
