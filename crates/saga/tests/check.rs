//! What keeps a definition from running.

use handfast_client::wire::{FindingLevel, SagaDefinition};
use handfast_saga::{parse, validate};

use crate::{codes, saga};

fn errors(saga: &SagaDefinition) -> Vec<(String, String)> {
    let findings = validate(saga);
    let codes = codes(&findings, FindingLevel::Error);
    codes.into_iter().map(|(code, branch)| (code.to_owned(), branch.to_owned())).collect()
}

#[track_caller]
fn is_wrong(branches: &[&str], code: &str, branch: &str) {
    assert_eq!(errors(&saga(branches)), [(code.to_owned(), branch.to_owned())], "{branches:?}");
}

const A: &str = "{name: a, resource: r, kind: step, do: POST /a, undo: 'DELETE /a/{{a.id}}'}";
const D: &str = "{name: d, resource: r, kind: deliver, do: POST /d}";

#[test]
fn a_definition_needs_a_name_a_version_and_branches() {
    let saga = parse("name: a b\nversion: 0\ntimeout_ms: 0\nbranches: []\n").unwrap();
    let codes: Vec<_> = errors(&saga).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["bad_name", "bad_version", "no_branches", "bad_timeout"]);
    is_wrong(&["{name: 'a b', resource: r, kind: step, do: GET /}"], "bad_name", "a b");
    is_wrong(&["{name: input, resource: r, kind: step, do: GET /}"], "bad_name", "input");
}

#[test]
fn each_kind_has_its_fields_and_no_others() {
    for good in [
        "{name: b, resource: r, sql: []}",
        "{name: b, resource: r, keys: []}",
        "{name: b, resource: r, try: POST /b, confirm: PUT /b, cancel: DELETE /b}",
        "{name: b, resource: r, kind: deliver, message: {type: t}}",
    ] {
        assert_eq!(validate(&saga(&[good])), [], "{good}");
    }
    for bad in [
        "{name: b, resource: r}",
        "{name: b, resource: r, sql: [], keys: []}",
        "{name: b, resource: r, sql: [], undo: DELETE /b}",
        "{name: b, resource: r, do: POST /b}",
        "{name: b, resource: r, try: POST /b, cancel: DELETE /b}",
        "{name: b, resource: r, kind: step}",
        "{name: b, resource: r, kind: step, do: POST /b, cancel: DELETE /b}",
        "{name: b, resource: r, kind: step, do: POST /b, message: {type: t}}",
        "{name: b, resource: r, kind: step, do: b}",
        "{name: b, resource: r, kind: step, do: POST http://elsewhere/b}",
        "{name: b, resource: r, kind: step, do: POST /b, undo: FETCH /b}",
        "{name: b, resource: r, kind: deliver, do: POST /b, undo: DELETE /b}",
        "{name: b, resource: r, kind: deliver, do: POST /b, message: {type: t}}",
    ] {
        is_wrong(&[bad], "bad_branch", "b");
    }
}

#[test]
fn names_must_be_known_by_the_time_they_are_used() {
    let b = |rest: &str| format!("{{name: b, resource: r, kind: step, {rest}}}");
    for (rest, code) in [
        ("do: 'GET /{{nobody.id}}'", "unknown_name"),
        ("do: 'GET /{{b.id}}'", "used_too_early"),
        ("do: 'GET /{{a.id}}', after: []", "used_too_early"),
        ("do: GET /b, undo: 'GET /{{a.id}}', after: []", "used_too_early"),
        ("do: 'GET /{{d.id}}'", "no_output"),
        ("do: {call: GET /, headers: {x: '{{p}}'}}", "no_output"),
        ("do: {call: GET /, body: {x: [1, '{{a.id']}}", "bad_template"),
    ] {
        is_wrong(&[A, &b(rest), D, "{name: p, resource: r, sql: []}"], code, "b");
    }
    for rest in ["do: 'GET /{{a.id}}'", "do: GET /, undo: 'GET /{{a.id}}/{{b}}'"] {
        assert_eq!(validate(&saga(&[A, &b(rest)])), [], "{rest}");
    }
}

#[test]
fn a_delivery_knows_every_step_and_no_delivery() {
    let e = "{name: e, resource: r, kind: deliver, do: 'POST /{{a.id}}'}";
    assert_eq!(validate(&saga(&[e, A])), []);
    let e = "{name: e, resource: r, kind: deliver, do: 'POST /{{d.id}}', after: [d]}";
    is_wrong(&[D, e], "no_output", "e");
}

#[test]
fn output_in_sql_is_a_name_too() {
    let sql = |name: &str| {
        format!("{{name: p, resource: r, sql: [['UPDATE t SET x = $1', [{{output: {name}}}]]]}}")
    };
    assert_eq!(validate(&saga(&[A, &sql("a.id")])), []);
    is_wrong(&[A, &sql("nobody.id")], "unknown_name", "p");
    is_wrong(&[A, &sql("7")], "bad_template", "p");
}

#[test]
fn faults_of_order_are_errors() {
    let cycle = [
        "{name: a, resource: r, kind: step, do: GET /, after: [b]}",
        "{name: b, resource: r, kind: step, do: GET /}",
        "{name: c, resource: r, kind: step, do: GET /}",
    ];
    let found = errors(&saga(&cycle));
    let found: Vec<_> = found.iter().map(|(code, at)| (code.as_str(), at.as_str())).collect();
    assert_eq!(found, [("cycle", "a"), ("unreachable", "c")]);
}

#[test]
fn a_schema_must_be_one_and_stay_inside() {
    let file = a_file_that_would_be_a_schema();
    for bad in [
        "{type: nonsense}".to_owned(),
        "7".into(),
        "{pattern: '('}".into(),
        "{anyOf: [{$ref: '#'}]}".into(),
        "{$dynamicRef: '#x'}".into(),
        "{$schema: 'http://127.0.0.1:1/schema'}".into(),
        format!("{{$schema: 'file://{file}'}}"),
        format!("{}1{}", "{not: ".repeat(33), "}".repeat(33)),
    ] {
        let text = format!("name: s\nversion: 1\ninput: {bad}\nbranches:\n  - {A}\n");
        let found = errors(&parse(&text).unwrap());
        assert_eq!(found, [("bad_schema".to_owned(), String::new())], "{bad}");
    }
}

/// It would be a fine schema for schemas, if files were read.
fn a_file_that_would_be_a_schema() -> String {
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/schema.json");
    std::fs::write(path, r#"{ "$schema": "https://json-schema.org/draft/2020-12/schema" }"#)
        .unwrap();
    path.into()
}
