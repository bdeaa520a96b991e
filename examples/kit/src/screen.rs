//! What the person sees meanwhile: a progress line on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines are written ten times in a run.
const PLAIN_LINES: u64 = 10;

/// Where talk goes, and how far it is.
pub struct Screen {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
}

impl Screen {
    /// For so many of what there will be, such as `transfers`.
    pub fn new(what: &'static str, total: usize) -> Self {
        let total = total as u64;
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = format!("{{bar:30}} {{pos}}/{{len}} {what}  {{msg}}");
            let style = ProgressStyle::with_template(&style);
            ProgressBar::new(total).with_style(style.expect("the template is right"))
        });
        Self { bar, what, total }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
    }

    /// How far it is; `counts` tells more.
    pub fn progress(&self, done: u64, counts: impl FnOnce() -> String) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(counts());
            }
            None if done.is_multiple_of(self.total.div_ceil(PLAIN_LINES)) => {
                self.say(&format!("{done}/{} {}  {}", self.total, self.what, counts()));
            }
            None => {}
        }
    }

    /// Takes the progress line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
