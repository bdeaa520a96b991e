//! The repository: where it is, what it holds, what it depends on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{Result, process};

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the workspace").to_path_buf()
}

/// The cargo that runs us, at the root of the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A file of the repository.
pub struct File {
    /// Its path from the root.
    pub path: String,
    /// What it holds, if it is text.
    pub text: String,
}

impl File {
    /// Whether its name ends so.
    pub fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// Its lines, numbered from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Every file that is tracked, or would be: new files count before they are added.
pub fn files() -> Result<Vec<File>> {
    let root = root();
    let list = process::output(Command::new("git").current_dir(&root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let paths: BTreeSet<&str> = list.split('\0').filter(|path| !path.is_empty()).collect();
    // A file may be tracked and just deleted; such are passed over.
    let read = |path: &str| {
        let bytes = fs::read(root.join(path)).ok()?;
        Some(File { path: path.into(), text: String::from_utf8_lossy(&bytes).into_owned() })
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

/// One package of the dependency graph.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression; empty if it declares none.
    pub license: String,
    /// Whether it is one of ours.
    pub own: bool,
    /// The ids of the packages it is built with; tests apart.
    pub needs: Vec<String>,
}

/// The dependency graph for this machine, by package id, tests included.
pub struct Graph(pub BTreeMap<String, Package>);

impl Graph {
    /// Asks cargo.
    pub fn load() -> Result<Self> {
        let host = process::output(Command::new("rustc").arg("-vV"))?;
        let host = host.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or("rustc does not name its host")?;
        let text = process::output(cargo().args([
            "metadata",
            "--format-version=1",
            "--filter-platform",
            host,
        ]))?;
        let metadata: Value = serde_json::from_str(&text)?;
        let own: BTreeSet<&str> = texts(&metadata["workspace_members"]).collect();
        let needs: BTreeMap<&str, Vec<String>> = array(&metadata["resolve"]["nodes"])
            .map(|node| {
                (text_of(&node["id"]), array(&node["deps"]).filter_map(built_with).collect())
            })
            .collect();
        // `packages` also lists what other machines need; the resolved nodes do not.
        let package = |package: &Value| {
            let id = text_of(&package["id"]);
            let needs = needs.get(id)?.clone();
            let [name, version, license] =
                ["name", "version", "license"].map(|key| text_of(&package[key]).to_owned());
            Some((id.to_owned(), Package { name, version, license, own: own.contains(id), needs }))
        };
        Ok(Self(array(&metadata["packages"]).filter_map(package).collect()))
    }

    /// The package of ours that has this name.
    pub fn own(&self, name: &str) -> Option<&Package> {
        self.0.values().find(|package| package.own && package.name == name)
    }

    /// The names of everything that `package` is built with, directly or not.
    pub fn closure(&self, package: &Package) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = package.needs.iter().map(String::as_str).collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.0[id].needs.iter().map(String::as_str));
            }
        }
        seen.into_iter().map(|id| self.0[id].name.as_str()).collect()
    }
}

/// The id of a dependency, unless it is for tests only.
fn built_with(dependency: &Value) -> Option<String> {
    let built = array(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev");
    built.then(|| text_of(&dependency["pkg"]).to_owned())
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    array(value).map(text_of)
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
