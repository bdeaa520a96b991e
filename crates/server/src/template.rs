//! Puts outputs and input where calls and statements name them.
//!
//! What is put in is never looked at again: an output that holds `{{…}}` stays what it is. Values
//! are cut out of their JSON as they stand there, so that no digit of a number is lost here. What
//! came through the API has lost those that a 64-bit float does not hold.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use handfast_client::template::{Name, Piece, pieces};
use handfast_core::{
    plan::Call,
    vote::Proof,
    work::{Param, Sql},
};
use handfast_participants::http::BODY_BYTES_MAX;
use serde_json::value::RawValue;

/// Longest path or header; longer ones are refused by those that read them.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// A call with its templates filled in.
///
/// In a path a value is percent-encoded. A string of the body that is nothing but one template
/// becomes the value itself; elsewhere a value is put in as text.
///
/// # Errors
/// What is missing or does not fit, in words. Nothing may be called then.
pub(crate) fn render(
    call: &Call,
    input: &str,
    outputs: &[(String, Proof)],
) -> Result<Call, String> {
    let values = Values { input, outputs };
    let mut rendered = call.clone();
    if has_template(&call.path) {
        rendered.path = values.line(&call.path, in_path)?;
    }
    for (_, text) in rendered.headers.iter_mut().filter(|(_, text)| has_template(text)) {
        *text = values.line(text, in_header)?;
    }
    if has_template(&call.body) {
        rendered.body = values.body(&call.body)?;
    }
    Ok(rendered)
}

/// Puts values in the place of parameters that name them.
///
/// # Errors
/// What is missing, in words. The statements must not be run then.
pub(crate) fn fill(sql: &mut Sql, input: &str, outputs: &[(String, Proof)]) -> Result<(), String> {
    let values = Values { input, outputs };
    for param in sql.statements.iter_mut().flat_map(|statement| &mut statement.params) {
        let Param::Output(text) = param else { continue };
        let name = Name::parse(text).ok_or_else(|| format!("`{text}` is not a name"))?;
        *param = as_param(values.find(&name)?);
    }
    Ok(())
}

fn has_template(text: &str) -> bool {
    text.contains("{{")
}

/// What can be named.
struct Values<'a> {
    /// JSON; empty for nothing.
    input: &'a str,
    /// JSON of branches, by their names; empty for nothing.
    outputs: &'a [(String, Proof)],
}

impl<'a> Values<'a> {
    fn find(&self, name: &Name<'_>) -> Result<&'a RawValue, String> {
        let missing = || format!("`{{{{{name}}}}}` is missing");
        let text = match name.root {
            Name::INPUT => self.input,
            branch => {
                let output = self.outputs.iter().find(|(of, _)| of == branch);
                output.map_or("", |(_, output)| output.0.as_str())
            }
        };
        let whole: &RawValue = serde_json::from_str(text).map_err(|_| missing())?;
        name.path.iter().try_fold(whole, |value, part| field(value, part)).ok_or_else(missing)
    }

    /// A path or header. `put` writes a value into it, or says why that cannot be.
    fn line(
        &self,
        line: &str,
        put: fn(&str, &mut String) -> Result<(), &'static str>,
    ) -> Result<String, String> {
        let mut filled = String::new();
        for piece in pieces(line)? {
            match piece {
                Piece::Text(text) => filled += text,
                Piece::Name(name) => {
                    let value = self.find(&name)?;
                    let put = put(&as_text(value), &mut filled);
                    put.map_err(|why| format!("`{{{{{name}}}}}` is {why}"))?;
                }
            }
            if filled.len() > LINE_BYTES_MAX {
                return Err(format!("what becomes of `{line}` exceeds {LINE_BYTES_MAX} bytes"));
            }
        }
        Ok(filled)
    }

    /// JSON whose strings are filled in; everything else in it, keys too, stays as it is.
    fn body(&self, body: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(2 * body.len());
        let mut rest = body;
        while let Some(start) = rest.find('"') {
            let (before, from) = rest.split_at(start);
            let (string, after) = from.split_at(end_of_string(from));
            filled += before;
            if has_template(string) && !after.trim_start().starts_with(':') {
                self.string(string, &mut filled)?;
            } else {
                filled += string;
            }
            if filled.len() > BODY_BYTES_MAX {
                return Err(too_long());
            }
            rest = after;
        }
        filled += rest;
        Ok(filled)
    }

    /// A string of the body, given with its quotes.
    fn string(&self, string: &str, filled: &mut String) -> Result<(), String> {
        let string: String =
            serde_json::from_str(string).map_err(|why| format!("the body is not JSON: {why}"))?;
        let pieces = pieces(&string)?;
        if let [Piece::Name(name)] = &pieces[..] {
            *filled += self.find(name)?.get();
            return Ok(());
        }
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => text += plain,
                Piece::Name(name) => text += &as_text(self.find(&name)?),
            }
            if text.len() > BODY_BYTES_MAX {
                return Err(too_long());
            }
        }
        *filled += &serde_json::to_string(&text).expect("a text can be written as JSON");
        Ok(())
    }
}

/// Where a string ends, its second quote included; the text's end if there is none.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

/// A field of an object, or an element of a list by its number.
fn field<'a>(value: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'{' => serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(text).ok()?.remove(name),
        b'[' => {
            let list: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            list.get(name.parse::<usize>().ok()?).copied()
        }
        _ => None,
    }
}

/// A string without its quotes and escapes; anything else as its JSON.
fn as_text(value: &RawValue) -> Cow<'_, str> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => text.into(),
        Err(_) => value.get().into(),
    }
}

/// A path with a hole, or with less than a name in its place, would name something else.
fn in_path(text: &str, path: &mut String) -> Result<(), &'static str> {
    match text.as_bytes().first() {
        None => return Err("empty, and stands in a path"),
        Some(b'{' | b'[') => return Err("an object or list, and stands in a path"),
        Some(_) if text == "null" => return Err("null, and stands in a path"),
        Some(_) => {}
    }
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => write!(path, "%{byte:02X}").expect("a string takes all that is written"),
        }
    }
    Ok(())
}

/// A line break would begin another header.
fn in_header(text: &str, header: &mut String) -> Result<(), &'static str> {
    match text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        true => header.push_str(text),
        false => return Err("not visible ASCII, and stands in a header"),
    }
    Ok(())
}

/// As a database takes it: what is no number of 64 bits goes as text, with all its digits.
fn as_param(value: &RawValue) -> Param {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'n') => Param::Null,
        Some(b't') => Param::Bool(true),
        Some(b'f') => Param::Bool(false),
        Some(b'"' | b'{' | b'[') => Param::Text(as_text(value).into_owned()),
        _ => {
            let int = || text.parse().ok().map(Param::Int);
            let real = || {
                let real: f64 = text.parse().ok()?;
                // Written again it must be the same, or digits are lost.
                (real.to_string() == text).then(|| Param::Real(real.into()))
            };
            int().or_else(real).unwrap_or_else(|| Param::Text(text.into()))
        }
    }
}

fn too_long() -> String {
    format!("the body exceeds {BODY_BYTES_MAX} bytes")
}

#[cfg(test)]
mod tests {
    use handfast_core::work::Statement;

    use super::*;

    const INPUT: &str = r#"{"who": "Ann & Bob", "n": 7}"#;

    fn outputs() -> Vec<(String, Proof)> {
        let book = r#"{"id": "b/1", "at": 12345678901234567890123, "price": 10.50, "none": null,
            "list": [{"x": 1}, [true]], "text": "{{input.n}} \"\\\n", "empty": "", "dots": ".."}"#;
        [("book", book), ("plain", "\"yes\""), ("quiet", ""), ("odd", "{\"a\": ")]
            .map(|(branch, output)| (branch.into(), Proof(output.into())))
            .into()
    }

    fn path(text: &str) -> Result<String, String> {
        let call = Call { path: text.into(), ..Call::default() };
        render(&call, INPUT, &outputs()).map(|call| call.path)
    }

    fn header(text: &str) -> Result<String, String> {
        let call = Call { headers: vec![("x".into(), text.into())], ..Call::default() };
        render(&call, INPUT, &outputs()).map(|call| call.headers[0].1.clone())
    }

    fn body(text: &str) -> Result<String, String> {
        let call = Call { body: text.into(), ..Call::default() };
        render(&call, INPUT, &outputs()).map(|call| call.body)
    }

    fn params(names: &[&str]) -> Result<Vec<Param>, String> {
        let params = names.iter().map(|name| Param::Output((*name).into())).collect();
        let statements = vec![Statement { params, ..Statement::default() }];
        let mut sql = Sql { statements, ..Sql::default() };
        fill(&mut sql, INPUT, &outputs()).map(|()| sql.statements.remove(0).params)
    }

    #[test]
    fn what_has_no_template_stays_as_it_is() {
        let call = Call {
            method: "POST".into(),
            path: "/a b/{c}".into(),
            headers: vec![("x".into(), "}} {".into())],
            // No JSON: it is not even looked at.
            body: "{\"a\": \"".into(),
        };
        assert_eq!(render(&call, "", &[]), Ok(call));
    }

    #[test]
    fn a_value_in_a_path_is_encoded_and_never_empty() {
        assert_eq!(path("/x/{{book.id}}/y").as_deref(), Ok("/x/b%2F1/y"));
        assert_eq!(
            path("/{{plain}}?who={{ input.who }}&n={{input.n}}").as_deref(),
            Ok("/yes?who=Ann%20%26%20Bob&n=7")
        );
        assert_eq!(path("/{{book.at}}").as_deref(), Ok("/12345678901234567890123"));
        assert_eq!(path("/{{book.list.0.x}}{{book.list.1.0}}").as_deref(), Ok("/1true"));
        for (text, why) in [
            ("/{{book.empty}}", "empty"),
            ("/{{book.none}}", "null"),
            ("/{{book.list}}", "list"),
            ("/{{book}}", "object"),
        ] {
            let said = path(text).unwrap_err();
            assert!(said.contains(why) && said.contains("path"), "{said}");
        }
        // Nothing that a value holds can leave its segment; who sends the call refuses `..`.
        assert_eq!(path("/{{book.dots}}").as_deref(), Ok("/.."));
    }

    #[test]
    fn a_header_holds_visible_text_only() {
        assert_eq!(header("for {{input.who}}").as_deref(), Ok("for Ann & Bob"));
        assert_eq!(header("{{book.list}}").as_deref(), Ok("[{\"x\": 1}, [true]]"));
        assert!(header("{{book.text}}").unwrap_err().contains("header"), "a line break");
    }

    #[test]
    fn a_body_gets_the_values_themselves() {
        for (text, becomes) in [
            (r#"{"id": "{{book.id}}"}"#, r#"{"id": "b/1"}"#),
            // Not a digit is lost, of theirs and of ours.
            (
                r#"["{{book.at}}", 1.10, "{{book.price}}"]"#,
                "[12345678901234567890123, 1.10, 10.50]",
            ),
            (
                r#"{"z": "{{book.none}}", "a": "{{book.list}}"}"#,
                r#"{"z": null, "a": [{"x": 1}, [true]]}"#,
            ),
            (r#""{{plain}}""#, r#""yes""#),
            // In the middle of a text a value is text.
            (r#""room {{book.id}} for {{input.n}}""#, r#""room b/1 for 7""#),
            (r#"" {{book.at}}""#, r#"" 12345678901234567890123""#),
            // Filled in once.
            (r#""{{book.text}}""#, r#""{{input.n}} \"\\\n""#),
            (r#""-{{book.text}}""#, r#""-{{input.n}} \"\\\n""#),
            // Keys and escaped quotes.
            (r#"{"{{book.id}}" : "a\"{{input.n}}\\"}"#, r#"{"{{book.id}}" : "a\"7\\"}"#),
        ] {
            assert_eq!(body(text).as_deref(), Ok(becomes), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in [
            "book.nothing",
            "book.id.more",
            "book.list.2",
            "book.list.x",
            "nobody",
            "nobody.id",
            "quiet",
            "quiet.id",
            "odd",
            "input.nothing",
        ] {
            let why = format!("`{{{{{name}}}}}` is missing");
            let missing = Err(why.clone());
            assert_eq!(path(&format!("/{{{{{name}}}}}")), missing);
            assert_eq!(header(&format!("{{{{{name}}}}}")), missing);
            assert_eq!(body(&format!("\"{{{{{name}}}}}\"")), missing);
            assert_eq!(params(&[name]).unwrap_err(), why);
        }
        let call = Call { path: "/{{input}}".into(), ..Call::default() };
        assert_eq!(render(&call, "", &[]), Err("`{{input}}` is missing".into()));
    }

    #[test]
    fn what_is_no_template_is_an_error_and_no_panic() {
        for text in ["{{", "{{}}", "{{a", "{{a..b}}", "\"{{", "{{a}}\"", "\"\\", "\"{{\\", "{{é\"é"]
        {
            assert!(path(text).is_err() || !text.contains("{{"), "{text}");
            assert!(header(text).is_err() || !text.contains("{{"), "{text}");
            let _ = body(text);
        }
    }

    #[test]
    fn what_is_filled_in_is_bounded() {
        let long = [("a".to_owned(), Proof(format!("\"{}\"", "x".repeat(60_000))))];
        let call = |path: &str, body: String| Call { path: path.into(), body, ..Call::default() };
        let list = |each: &str| format!("[{}]", vec![each; 1_000].join(","));
        for (call, why) in [
            (call("/{{a}}", String::new()), "8192"),
            (call("/", list("\"{{a}}\"")), "1048576"),
            (call("/", list("\"-{{a}}\"")), "1048576"),
            (call("/", format!("\"{}\"", "{{a}}".repeat(1_000))), "1048576"),
        ] {
            let said = render(&call, "", &long).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_parameter_has_the_type_of_its_value() {
        let names = ["plain", "input.n", "book.none", "book.list.1.0", "book.at", "book.list.0"];
        let text = |text: &str| Param::Text(text.into());
        assert_eq!(
            params(&names).unwrap(),
            [
                text("yes"),
                Param::Int(7),
                Param::Null,
                Param::Bool(true),
                text("12345678901234567890123"),
                text("{\"x\": 1}"),
            ]
        );
        // A zero at the end of a price may mean something.
        assert_eq!(params(&["book.price"]).unwrap(), [text("10.50")]);
        let half = [("half".to_owned(), Proof("-0.5".into()))];
        let params = vec![Param::Output("half".into()), Param::Int(1)];
        let statements = vec![Statement { params, ..Statement::default() }];
        let mut sql = Sql { statements, ..Sql::default() };
        fill(&mut sql, "", &half).unwrap();
        assert_eq!(sql.statements[0].params, [Param::Real((-0.5).into()), Param::Int(1)]);
    }
}
