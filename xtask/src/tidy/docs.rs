//! Rules for text: links lead somewhere, and no path of one machine is written down.

use std::path::{Component, Path, PathBuf};

use crate::repo::File;

/// Directories of somebody's machine. Written in halves, or this file would not pass.
const OF_A_MACHINE: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Use", "rs/")];
/// Examples in documents use relative paths, or `/var/lib` as services do.
const SCRATCH: &str = concat!("/t", "mp/");

/// Checks one file; `files` are all of them.
pub fn check(file: &File, files: &[File], findings: &mut Vec<String>) {
    let File { path, .. } = file;
    for (number, line) in file.lines() {
        let scratch = file.is("md").then_some(SCRATCH);
        for machine in OF_A_MACHINE.into_iter().chain(scratch) {
            if names_directory(line, machine) {
                findings.push(format!("{path}:{number}: names `{machine}`, a path of one machine"));
            }
        }
    }
    if file.is("md") {
        for (number, target) in links(file) {
            if let Err(why) = follow(path, target, files) {
                findings.push(format!("{path}:{number}: link `{target}`: {why}"));
            }
        }
    }
}

/// Whether a path in `line` begins with `directory`.
fn names_directory(line: &str, directory: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || "._-/}$".contains(c);
    line.match_indices(directory).any(|(at, _)| !line[..at].ends_with(inner))
}

/// The targets of `[text](target)` outside of code.
fn links(file: &File) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(file) {
        for (index, part) in line.split('`').enumerate() {
            // Every second part is code, unless a link's text is code; those hold no `](`.
            let ends = part.match_indices("](");
            let targets = ends.filter_map(|(at, _)| part[at + 2..].split(')').next());
            if index % 2 == 0 {
                found.extend(targets.map(|target| (number, target)));
            }
        }
    }
    found
}

/// The lines outside of fenced code.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    })
}

fn follow(from: &str, target: &str, files: &[File]) -> Result<(), String> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match path {
        "" => from.into(),
        path => normal(&Path::new(from).parent().unwrap_or(Path::new("")).join(path))
            .ok_or("leads out of the repository")?,
    };
    if anchor.is_empty() {
        // A directory is there if a file is in it.
        let exists = files.iter().any(|file| Path::new(&file.path).starts_with(&path));
        return if exists { Ok(()) } else { Err("there is no such file".into()) };
    }
    let file = files.iter().find(|file| Path::new(&file.path) == path);
    let file = file.ok_or("there is no such file")?;
    let mut headings = prose(file).filter(|(_, line)| line.starts_with('#'));
    let exists = headings.any(|(_, line)| slug(line) == anchor);
    if exists { Ok(()) } else { Err("there is no such heading".into()) }
}

/// Takes `..` out of a path; `None` if it leads above the root.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if normal.pop() => {}
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(normal)
}

/// How a heading is named in a link.
fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    let text = heading.trim_start_matches('#').trim();
    text.chars().filter(kept).collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let files = [file("docs/a.md", text), file("README.md", "# What it is: a `thing`\n")];
        let mut findings = Vec::new();
        check(&files[0], &files, &mut findings);
        findings
    }

    #[test]
    fn links_must_lead_somewhere() {
        let good = "# Top\n[a](../README.md) [b](#top) [`c`](../README.md#what-it-is-a-thing)\n\
                    `[no](link)` [d](https://example.org/none)\n```\n[no](link)\n```\n";
        assert_eq!(findings(good), [""; 0]);
        for bad in ["none.md", "../README.md#none", "#none", "../../../README.md"] {
            assert_eq!(findings(&format!("see [x]({bad})\n")).len(), 1, "{bad}");
        }
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let [work, _, home, _] = OF_A_MACHINE;
        assert_eq!(findings(&format!("look in {work}x and `{SCRATCH}y`\n")).len(), 2);
        assert_eq!(findings(&format!("https://example.org{home}x and a.b{work}\n")), [""; 0]);
    }
}
