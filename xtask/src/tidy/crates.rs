//! Which crate may know which: the walls of the house.

use crate::repo::{File, Graph};

/// Crate, and what must not be among all that it is built with.
const WALLS: [(&str, &[&str]); 6] = [
    ("handfast-log", &["tokio", "handfast-participants", "handfast-server"]),
    ("handfast-client", &["handfast-core", "handfast-log", "handfast-server"]),
    ("handfast-participants", &["handfast-log", "handfast-server"]),
    (
        "handfast-saga",
        &["handfast-core", "handfast-log", "handfast-participants", "handfast-server"],
    ),
    ("handfast-server", &["handfast-sim"]),
    ("handfast-sim", &["tokio", "handfast-participants", "handfast-server"]),
];

/// Checks the dependency graph, and that every crate takes the workspace's lints.
pub fn check(graph: &Graph, files: &[File], findings: &mut Vec<String>) {
    let manifest = |name: &str| match name.strip_prefix("handfast-") {
        Some(crate_name) => format!("crates/{crate_name}/Cargo.toml"),
        None => format!("{name}/Cargo.toml"),
    };
    let core = graph.own("handfast-core").into_iter().flat_map(|package| &package.needs);
    for name in core.map(|id| &graph.0[id].name).filter(|name| *name != "serde") {
        let path = manifest("handfast-core");
        findings.push(format!("{path}:1: depends on `{name}`, but may on serde only"));
    }
    for (name, forbidden) in WALLS {
        // The simulator may not be there yet.
        let Some(package) = graph.own(name) else { continue };
        let closure = graph.closure(package);
        for other in forbidden.iter().filter(|other| closure.contains(**other)) {
            findings.push(format!("{}:1: must not be built with `{other}`", manifest(name)));
        }
    }
    for file in files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        if !file.text.contains("[lints]\nworkspace = true\n") {
            findings.push(format!("{}:1: does not take the workspace's lints", file.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::Package;

    /// A graph from `name: needs…` lines; ids are names.
    fn findings(lines: &[&str]) -> Vec<String> {
        let package = |line: &&str| {
            let (name, needs) = line.split_once(':').expect("written so");
            let package = Package {
                name: name.into(),
                version: String::new(),
                license: String::new(),
                own: name.starts_with("handfast-"),
                needs: needs.split_whitespace().map(str::to_owned).collect(),
            };
            (name.to_owned(), package)
        };
        let mut findings = Vec::new();
        check(&Graph(lines.iter().map(package).collect()), &[], &mut findings);
        findings
    }

    #[test]
    fn walls_hold_against_indirect_dependencies_too() {
        let core = "handfast-core: serde";
        let good = [core, "serde:", "tokio:", "handfast-log: handfast-core", "x: tokio"];
        assert_eq!(findings(&good), [""; 0]);
        let bad = [core, "serde:", "tokio:", "handfast-log: x handfast-core", "x: tokio"];
        assert_eq!(findings(&bad), ["crates/log/Cargo.toml:1: must not be built with `tokio`"]);
        let core_with_more = ["handfast-core: serde x", "serde:", "x:"];
        assert_eq!(
            findings(&core_with_more),
            ["crates/core/Cargo.toml:1: depends on `x`, but may on serde only"]
        );
    }

    #[test]
    fn every_crate_takes_the_lints() {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let files = [
            file("crates/a/Cargo.toml", "[lints]\nworkspace = true\n"),
            file("crates/b/Cargo.toml", "[package]\n"),
        ];
        let mut findings = Vec::new();
        check(&Graph(Default::default()), &files, &mut findings);
        assert_eq!(findings, ["crates/b/Cargo.toml:1: does not take the workspace's lints"]);
    }
}
