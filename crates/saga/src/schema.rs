//! What a run's input must be: JSON Schema.

use std::error::Error;

use boon::{CompileError, Compiler, Draft, SchemaIndex, Schemas, UrlLoader, ValidationError};
use handfast_client::wire::{FindingLevel, SagaDefinition, SagaFinding};
use serde_json::Value;

use crate::finding;

/// Where the schema stands, so that it can refer to its own parts.
const PLACE: &str = "handfast:///input";
/// Most that is said of one input.
const FINDINGS_MAX: usize = 20;
/// How deep a schema may be, counted in objects and lists.
const DEPTH_MAX: usize = 32;
/// Schemas that refer to schemas may need a time that is exponential, and a stack without bound.
/// Without these, a check takes at most |schema| times |input| steps, and is as deep as the schema.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// A schema must not make whoever checks it read files or call somebody (`$schema` may ask for it).
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("it refers to {url}, which is outside of the definition").into())
    }
}

/// What a run's input must be. It is compiled once and serves every run of its definition.
pub struct Schema {
    /// Without a schema, any object will do.
    compiled: Option<(Schemas, SchemaIndex)>,
}

impl Schema {
    /// Reads the schema of a definition.
    ///
    /// # Errors
    /// Why it is none.
    pub fn of(definition: &SagaDefinition) -> Result<Self, SagaFinding> {
        let bad = |why: String| {
            let message = format!("`input` is not a JSON Schema that can be used: {why}");
            finding(FindingLevel::Error, "bad_schema", None, message)
        };
        let Some(schema) = &definition.input else { return Ok(Self { compiled: None }) };
        bounded(schema, DEPTH_MAX).map_err(bad)?;
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.use_loader(Box::new(Nothing));
        let wrong = |e: CompileError| bad(format!("{e:#}"));
        compiler.add_resource(PLACE, schema.clone()).map_err(wrong)?;
        let mut schemas = Schemas::new();
        let index = compiler.compile(PLACE, &mut schemas).map_err(wrong)?;
        Ok(Self { compiled: Some((schemas, index)) })
    }

    /// Whether an input fits.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn check(&self, input: &Value) -> Result<(), Vec<SagaFinding>> {
        let wrong = |why: String| finding(FindingLevel::Error, "bad_input", None, why);
        if !input.is_object() {
            return Err(vec![wrong("the input is not an object".into())]);
        }
        let Some((schemas, index)) = &self.compiled else { return Ok(()) };
        let Err(error) = schemas.validate(input, *index) else { return Ok(()) };
        let mut findings = Vec::new();
        leaves(&error, &mut |leaf| {
            if findings.len() < FINDINGS_MAX {
                let place = match leaf.instance_location.to_string() {
                    place if place.is_empty() => "the input".into(),
                    place => format!("`{place}` of the input"),
                };
                findings.push(wrong(format!("{place}: {}", leaf.kind)));
            }
        });
        Err(findings)
    }
}

/// Whether a check with this schema ends, and soon.
fn bounded(schema: &Value, depth: usize) -> Result<(), String> {
    let mut inner: Box<dyn Iterator<Item = &Value>> = match schema {
        Value::Array(list) => Box::new(list.iter()),
        Value::Object(object) => {
            if let Some(name) = REFERENCES.iter().find(|name| object.contains_key(**name)) {
                return Err(format!("it has `{name}`: write out what it refers to"));
            }
            Box::new(object.values())
        }
        _ => return Ok(()),
    };
    let Some(depth) = depth.checked_sub(1) else {
        return Err(format!("it is deeper than {DEPTH_MAX} levels"));
    };
    inner.try_for_each(|inner| bounded(inner, depth))
}

/// The causes without further causes: those say what is wrong, the others only where they look.
fn leaves(error: &ValidationError<'_, '_>, tell: &mut impl FnMut(&ValidationError<'_, '_>)) {
    match error.causes.as_slice() {
        [] => tell(error),
        causes => causes.iter().for_each(|cause| leaves(cause, tell)),
    }
}
