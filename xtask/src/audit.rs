//! The task `audit`: what our dependencies are allowed to be, as `deny.toml` says.
//!
//! Licences and banned crates are checked here, offline. Known advisories need a database from
//! outside: they are checked by `cargo deny` where it and its database can be had, and said aloud
//! to be unchecked elsewhere.

use std::{collections::BTreeSet, fs};

use crate::{
    Result,
    install::find_in_path,
    repo::{Graph, Package, cargo, root},
    spdx,
};

/// Runs it.
pub fn run() -> Result<()> {
    let rules: toml::Table = fs::read_to_string(root().join("deny.toml"))?.parse()?;
    let graph = Graph::load()?;
    let mut findings = licences(&rules, &graph);
    findings.extend(bans(&rules)?);
    for finding in &findings {
        println!("{finding}");
    }
    println!("audit: licences of {} packages checked", graph.0.len());
    if !findings.is_empty() {
        return Err(format!("{} findings", findings.len()).into());
    }
    advisories()
}

fn licences(rules: &toml::Table, graph: &Graph) -> Vec<String> {
    let allow: BTreeSet<&str> =
        array(rules, "licenses", "allow").flat_map(|v| v.as_str()).collect();
    let refused = |package: &Package| {
        let why = match spdx::permits(&package.license, &|name| allow.contains(name)) {
            Ok(true) => return None,
            Ok(false) => "is not allowed by deny.toml".into(),
            Err(why) => format!("cannot be read: {why}"),
        };
        let Package { name, version, license, .. } = package;
        Some(format!("Cargo.toml:1: {name} {version}: licence `{license}` {why}"))
    };
    graph.0.values().filter_map(refused).collect()
}

/// Looks in the lock file: it also names what only other machines or features would build.
fn bans(rules: &toml::Table) -> Result<Vec<String>> {
    let banned: BTreeSet<&str> = array(rules, "bans", "deny")
        .flat_map(|ban| ban.get("crate").and_then(toml::Value::as_str))
        .collect();
    let lock = fs::read_to_string(root().join("Cargo.lock"))?;
    let ban = |(index, line): (usize, &str)| {
        let name = line.strip_prefix("name = \"")?.strip_suffix('"')?;
        let number = index + 1;
        banned.contains(name).then(|| format!("Cargo.lock:{number}: `{name}` is banned"))
    };
    Ok(lock.lines().enumerate().filter_map(ban).collect())
}

fn array<'a>(
    rules: &'a toml::Table,
    section: &str,
    key: &str,
) -> impl Iterator<Item = &'a toml::Value> {
    let list = rules.get(section).and_then(|section| section.get(key));
    list.and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

fn advisories() -> Result<()> {
    if find_in_path("cargo-deny").is_none() {
        println!("audit: advisories NOT CHECKED: cargo-deny is not installed");
        return Ok(());
    }
    let deny = |arguments: &[&str]| cargo().arg("deny").args(arguments).status();
    if !deny(&["fetch", "db"])?.success() {
        println!("audit: advisories NOT CHECKED: their database cannot be fetched");
        return Ok(());
    }
    let checked = deny(&["check", "--disable-fetch", "advisories"])?;
    if checked.success() { Ok(()) } else { Err("a dependency has a known advisory".into()) }
}
