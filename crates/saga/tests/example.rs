//! The page for users, and what it says.

use handfast_client::wire::SagaDefinition;
use handfast_saga::{Format, parse, parse_as};
use serde_json::json;

use crate::example;

const PAGE: &str = include_str!("../../../docs/sagas.md");

/// The definition on the page.
pub fn yaml() -> String {
    let (_, rest) = PAGE.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0.into()
}

#[test]
fn the_pages_example_is_without_findings_and_runs() {
    let saga = example();
    assert_eq!(handfast_saga::lint(&saga), []);
    let input = json!({ "trip": "t-1", "traveller": "Ann", "city": "Rome", "from": "2026-05-01",
                        "to": "2026-05-08", "amount": 900 });
    let schema = handfast_saga::Schema::of(&saga).unwrap();
    let begin = handfast_saga::begin(&saga, &schema, Some("trip-1".into()), Some(input)).unwrap();
    assert_eq!((begin.gid.as_deref(), begin.branches.len()), (Some("trip-1"), 5));
}

#[test]
fn the_page_names_every_code() {
    let sources = [
        include_str!("../src/check.rs"),
        include_str!("../src/lint.rs"),
        include_str!("../src/schema.rs"),
    ]
    .concat();
    let is_code = |word: &&str| {
        word.contains('_') && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let fields = ["timeout_ms", "deadline_ms"];
    let quoted = sources.split('"').skip(1).step_by(2);
    let codes: Vec<&str> = quoted.filter(is_code).filter(|word| !fields.contains(word)).collect();
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes.into_iter().chain(["cycle", "unreachable"]) {
        assert!(PAGE.contains(&format!("| `{code}` |")), "docs/sagas.md does not explain `{code}`");
    }
}

#[test]
fn what_cannot_be_read_says_where() {
    let cases = [
        (
            "name: s\nversion: 1\nbranches:\n  - name: a\n    resource: r\n    doo: GET /\n",
            6,
            "doo",
        ),
        ("name: s\nversion: one\nbranches: []\n", 2, "u32"),
        ("name: s\nversion: 1\nbranches:\n  - [\n", 4, ""),
        ("{\n \"name\": \"s\",\n \"version\": 1,\n \"branches\": [],\n \"x\": 1 }", 5, "`x`"),
        ("{\n \"name\": \"s\",,\n}", 2, ""),
    ];
    for (text, line, word) in cases {
        let error = parse::<SagaDefinition>(text).unwrap_err();
        assert_eq!(error.at.map(|at| at.0), Some(line), "{error}\n{text}");
        assert!(error.why.contains(word), "{error}\n{text}");
        assert!(!error.why.contains(" at line"), "{error}");
    }
    for text in ["", "name: s", "[]", "{}", "- 1", "a: &x [*x]", "\0", "name: s\n---\nname: t\n"] {
        assert!(parse::<SagaDefinition>(text).is_err(), "{text:?}");
    }
}

/// YAML's own braces need no quotes within.
#[test]
fn yaml_may_begin_with_a_brace_and_errors_say_as_what_it_was_read() {
    let flow = "{name: s, version: 1, branches: [{name: a, resource: r, kind: step,\n  \
                do: {call: POST /a, body: {n: 1, \"x\": no}}, undo: DELETE /a}]}";
    let quoted = r#"{"name": "s", "version": 1, branches: []}"#;
    assert_eq!(parse::<SagaDefinition>(flow).unwrap().branches[0].name, "a");
    assert_eq!(parse::<SagaDefinition>(quoted).unwrap().name, "s");
    let why = |text: &str, meant| parse_as::<SagaDefinition>(text, meant).unwrap_err().to_string();
    let odd = "{name: s, version: 1, branches: [],\n odd: 1}";
    let yaml = why(odd, Format::of(odd));
    assert!(yaml.contains("line 2") && yaml.contains("`odd`"), "{yaml}");
    assert!(yaml.ends_with("(read as YAML)"), "{yaml}");
    assert!(why(odd, Format::Json).contains("key must be a string"));
    for odd in ["{ \"name\": \"s\",\n \"odd\": 1 }", "{ \"name\": \"s\",,\n}", "{", "{}"] {
        assert!(why(odd, Format::of(odd)).ends_with("(read as JSON)"), "{odd}");
        assert!(why(odd, Format::Yaml).ends_with("(read as YAML)"), "{odd}");
    }
    assert!(why("name: s", Format::Json).ends_with("(read as JSON)"));
}

#[test]
fn what_cannot_be_used_is_not_repeated_at_length() {
    let long = "ä".repeat(100_000);
    for text in [format!("{{\"name\": \"s\", \"version\": \"{long}\" }}"), format!("\"{long}\"")] {
        let why = parse::<SagaDefinition>(&text).unwrap_err().why;
        assert!(why.chars().count() < 400 && why.contains('…'), "{why}");
        assert!(why.starts_with("invalid type: string") && why.contains("expected"), "{why}");
    }
}

#[test]
fn text_that_grows_by_aliases_or_depth_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(9);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", ")));
    }
    let bomb =
        format!("name: s\nversion: 1\nbranches: []\ninput:\n  {}", bomb.replace('\n', "\n  "));
    assert!(parse::<SagaDefinition>(&bomb).is_err());
    let deep = format!("input: {}1{}", "[".repeat(1_000), "]".repeat(1_000));
    assert!(parse::<SagaDefinition>(&deep).is_err());
    let deep = format!("{{\"input\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse::<SagaDefinition>(&deep).is_err());
}

#[test]
fn yaml_and_json_are_the_same_definition() {
    let saga = example();
    let json = serde_json::to_string(&saga).unwrap();
    assert_eq!(parse(&json), Ok(saga));
}
