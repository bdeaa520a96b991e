//! Golden traces: text files, each a story of inputs and what followed.
//!
//! A line with `>` is an input; the indented lines below are what the machine must answer with:
//! records, `sync` if the effects wait for them, effects; those that leave ahead stand before it.
//! `> crash` forgets what is live and what no sync took along; `> unsynced` and an input is one in
//! whose sync it crashes. `UPDATE=1 cargo test` writes the answers anew; read the difference before
//! you believe it.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use handfast_core::machine::{Machine, Output};
use serde::{Serialize, de::DeserializeOwned};

/// Runs every trace of `tests/traces/<dir>`, and fails if one went otherwise than written.
pub fn check(dir: &str, at_least: usize, run: impl Fn(&str) -> String) {
    let stories = stories(dir);
    assert!(stories.len() >= at_least, "traces are missing");
    let mut wrong = Vec::new();
    for (file, written) in stories {
        let happened = run(&written);
        if written != happened && std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &happened).unwrap();
        } else if written != happened {
            wrong.push(format!("{}:\n{happened}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "these went otherwise than written:\n\n{}", wrong.join("\n"));
}

/// Every trace of `tests/traces/<dir>`, with its file.
pub fn stories(dir: &str) -> Vec<(PathBuf, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces").join(dir);
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: PathBuf| fs::read_to_string(&file).map(|story| (file, story)).unwrap();
    files.into_iter().map(read).collect()
}

/// Keeps the comments and inputs of a trace and answers the inputs.
pub fn run(trace: &str, mut take: impl FnMut(&str) -> Vec<String>) -> String {
    let mut text = String::new();
    for line in trace.lines().filter(|line| !line.starts_with("  ")) {
        text.push_str(line);
        text.push('\n');
        if let Some(input) = line.strip_prefix("> ") {
            for answer in take(input) {
                text.push_str(&format!("  {answer}\n"));
            }
        }
    }
    text
}

/// A machine and its log.
pub struct World<M: Machine> {
    pub saved: M::Saved,
    pub live: M::Live,
    records: Vec<M::Record>,
    synced: usize,
}

impl<M: Machine> Default for World<M> {
    fn default() -> Self {
        Self { saved: Default::default(), live: Default::default(), records: Vec::new(), synced: 0 }
    }
}

impl<M: Machine> World<M>
where
    M::Record: Display + Serialize + DeserializeOwned,
    M::Effect: Display,
{
    /// One step, its records applied as a partition does.
    pub fn step(&mut self, input: M::Input) -> Vec<String> {
        let mut out = Output::new();
        M::step(&self.saved, &mut self.live, input, &mut out);
        self.told(out)
    }

    /// One step that ends in its sync: what left ahead. A crash follows.
    pub fn unsynced(&mut self, input: M::Input) -> Vec<String> {
        let synced = self.synced;
        let mut answers = self.step(input);
        answers.truncate(answers.iter().position(|line| line == "sync").expect("a sync"));
        self.synced = synced;
        answers
    }

    /// Everything unsynced is lost; then a start.
    pub fn crash(&mut self) -> Vec<String> {
        self.records.truncate(self.synced);
        self.saved = M::Saved::default();
        for record in &self.records {
            M::apply(&mut self.saved, record);
        }
        self.live = M::Live::default();
        let mut out = Output::new();
        M::restart(&self.saved, &mut self.live, &mut out);
        self.told(out)
    }

    fn told(&mut self, out: Output<M>) -> Vec<String> {
        let (records, effects, forced) = out.into_parts();
        let is_written = self.synced == self.records.len();
        let (ahead, effects): (Vec<_>, Vec<_>) =
            effects.into_iter().partition(|effect| is_written && M::leaves_ahead(&records, effect));
        let mut answers = Vec::new();
        for record in records {
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(record, serde_json::from_str(&json).unwrap(), "JSON changes a record");
            M::apply(&mut self.saved, &record);
            answers.push(format!("record {record}"));
            self.records.push(record);
        }
        answers.extend(ahead.iter().map(ToString::to_string));
        if forced {
            self.synced = self.records.len();
            answers.push("sync".into());
        }
        answers.extend(effects.iter().map(ToString::to_string));
        answers
    }
}
