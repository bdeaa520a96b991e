//! The task `tidy`: the rules of the house that no compiler checks.
//!
//! Each finding is `path:line: message`. There is no list of exceptions: the rules hold.

mod crates;
mod docs;
mod source;

use crate::{
    Result,
    repo::{self, Graph},
};

/// Runs it.
pub fn run() -> Result<()> {
    let files = repo::files()?;
    let mut findings = Vec::new();
    for file in &files {
        source::check(file, &mut findings);
        docs::check(file, &files, &mut findings);
    }
    crates::check(&Graph::load()?, &files, &mut findings);
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files checked", files.len());
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len()).into()) }
}
