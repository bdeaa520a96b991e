//! What the person sees meanwhile: a progress line on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines are written ten times in a run.
const PLAIN_LINES: u64 = 10;

pub struct Screen {
    bar: Option<ProgressBar>,
    total: u64,
}

impl Screen {
    pub fn new(transfers: usize) -> Self {
        let total = transfers as u64;
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} transfers  {msg}");
            ProgressBar::new(total).with_style(style.expect("the template is right"))
        });
        Self { bar, total }
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
                self.say(&format!("{done}/{} transfers  {}", self.total, counts()));
            }
            None => {}
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
