//! Runs of a definition.

use handfast_client::wire::{BeginTransaction, FindingLevel, SagaDefinition, SagaFinding};
use handfast_saga::{Schema, parse};
use serde_json::{Value, json};

use crate::{codes, example, saga};

fn begin(saga: &SagaDefinition, input: Value) -> Result<BeginTransaction, Vec<SagaFinding>> {
    handfast_saga::begin(saga, &Schema::of(saga).unwrap(), None, Some(input))
}

#[test]
fn a_run_is_all_of_the_definition_but_its_hints() {
    let saga = saga(&[
        "{name: a, resource: r, kind: step, do: GET /, compensation: hard, retry: {attempts: 2}}",
    ]);
    let schema = Schema::of(&saga).unwrap();
    let begin = handfast_saga::begin(&saga, &schema, Some("g".into()), None).unwrap();
    assert_eq!(
        serde_json::to_value(&begin).unwrap(),
        json!({ "gid": "g", "timeout_ms": 5000, "deadline_ms": 60000, "input": {}, "branches": [
            { "name": "a", "resource": "r", "kind": "step", "do": { "call": "GET /" },
              "retry": { "attempts": 2 } },
        ] })
    );
}

fn refused(input: Value) -> Vec<SagaFinding> {
    let findings = begin(&example(), input).unwrap_err();
    let codes = codes(&findings, FindingLevel::Error);
    assert!(codes.iter().all(|code| *code == ("bad_input", "")), "{findings:?}");
    findings
}

#[test]
fn an_input_that_does_not_fit_is_told_field_by_field() {
    let good = json!({ "trip": "t-1", "traveller": "Ann", "city": "Rome", "from": "2026-05-01",
                       "to": "2026-05-08", "amount": 900 });
    assert!(begin(&example(), good.clone()).is_ok());
    let mut bad = good;
    bad["from"] = "soon".into();
    bad["amount"] = 0.into();
    bad["extra"] = true.into();
    let said: Vec<_> = refused(bad).into_iter().map(|finding| finding.message).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for part in ["`/from` of the input: ", "`/amount` of the input: must be >=1", "extra"] {
        assert!(said.iter().any(|said| said.contains(part)), "{part}: {said:?}");
    }
    assert_eq!(refused(json!([]))[0].message, "the input is not an object");
    assert!(refused(json!({}))[0].message.contains("traveller"));
}

#[test]
fn what_is_said_of_one_input_is_bounded() {
    let text =
        "name: s\nversion: 1\ninput: {properties: {l: {items: {type: string}}}}\nbranches: []";
    let input = json!({ "l": vec![0; 1000] });
    let findings = begin(&parse(text).unwrap(), input).unwrap_err();
    assert_eq!(findings.len(), 20);
}

#[test]
fn the_deepest_schema_and_input_are_checked_on_a_small_stack() {
    let mut schema = json!({ "type": "string" });
    for _ in 0..15 {
        schema = json!({ "properties": { "x": { "anyOf": [schema] } } });
        if schema.to_string().matches('{').count() >= 22 {
            break;
        }
    }
    let mut saga = saga(&["{name: a, resource: r, kind: step, do: GET /}"]);
    saga.input = Some(schema);
    let deep = (0..100).fold(json!("end"), |inner, _| json!({ "x": inner }));
    assert!(begin(&saga, deep).unwrap_err()[0].message.contains("want string"));
}
