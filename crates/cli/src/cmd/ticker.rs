//! How far a long walk has come: one changing line on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// Where there is no terminal, a line comes this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub struct Ticker<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    begun: Instant,
    said: Instant,
    end: Option<Duration>,
}

impl<'a> Ticker<'a> {
    /// Starts the clock; the walk is to end after so many minutes, if it is given any.
    pub fn new(output: &'a Output, minutes: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
            ProgressBar::new_spinner().with_style(style.expect("the template is right"))
        });
        let now = Instant::now();
        let end = minutes.map(|minutes| Duration::from_secs(60 * minutes));
        Self { output, bar, begun: now, said: now, end }
    }

    /// Says how far it is, if it is time to; breaks off when the time is over.
    pub fn tick(&mut self, how_far: impl FnOnce() -> String) -> ControlFlow<()> {
        match &self.bar {
            Some(bar) => {
                bar.set_message(how_far());
                bar.tick();
            }
            None if self.said.elapsed() >= LINE_EVERY => {
                self.said = Instant::now();
                self.output.talk(&how_far());
            }
            None => {}
        }
        match self.end {
            Some(end) if self.begun.elapsed() >= end => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    /// Takes the line away; how many seconds it took.
    pub fn finish(self) -> f64 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.begun.elapsed().as_secs_f64()
    }
}
