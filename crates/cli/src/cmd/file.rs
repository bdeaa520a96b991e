//! What commands read from files, stdin, or the command line itself.

use std::{io::Read as _, path::Path};

use handfast_saga::{Format, Unreadable};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// The text of a file; of stdin, if its name is `-`.
pub fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(|_| text),
        false => std::fs::read_to_string(file),
    };
    read.map_err(|e| Failure::new(Exit::Usage, format!("failed to read {}: {e}", file.display())))
}

/// What stands in a file as YAML or JSON; its name says which is meant, or else how it begins.
pub fn described<T: DeserializeOwned>(file: &Path) -> Result<Result<T, Unreadable>, Failure> {
    let text = read(file)?;
    let meant = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        Some("yaml" | "yml") => Format::Yaml,
        _ => Format::of(&text),
    };
    Ok(handfast_saga::parse_as(&text, meant))
}

/// As [`described`], where there is no more to say of what cannot be read.
pub fn parsed<T: DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    described(file)?.map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", file.display())))
}

/// What a flag gives: JSON, or `@` and a file that holds it.
pub fn json(flag: &str, given: &str) -> Result<Value, Failure> {
    let text = match given.strip_prefix('@') {
        Some(file) => read(Path::new(file))?,
        None => given.into(),
    };
    serde_json::from_str(&text)
        .map_err(|e| Failure::new(Exit::Usage, format!("{flag} is not JSON: {e}")))
}
