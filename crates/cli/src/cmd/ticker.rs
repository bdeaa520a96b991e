//! How far something long has come: one changing line on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::stop_signal;
use crate::{exit::Failure, output::Output};

/// Where there is no terminal, a line comes this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub struct Ticker<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    begun: Instant,
    said: Instant,
    end: Option<Duration>,
    /// Somebody wants it to end.
    stopped: Arc<AtomicBool>,
    broke_off: bool,
}

impl<'a> Ticker<'a> {
    /// Starts the clock.
    pub fn new(output: &'a Output) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
            ProgressBar::new_spinner().with_style(style.expect("the template is right"))
        });
        let now = Instant::now();
        let stopped = Arc::default();
        Self { output, bar, begun: now, said: now, end: None, stopped, broke_off: false }
    }

    /// Of a walk: it is to end after so many minutes, if it is given any, or with SIGINT or
    /// SIGTERM, and tells what it has seen.
    pub fn of_walk(output: &'a Output, minutes: Option<u64>) -> Result<Self, Failure> {
        let (signal, stopped) = (stop_signal()?, Arc::<AtomicBool>::default());
        let told = Arc::clone(&stopped);
        tokio::spawn(async move {
            signal.await;
            told.store(true, Ordering::Relaxed);
        });
        let end = minutes.map(|minutes| Duration::from_secs(60 * minutes));
        Ok(Self { end, stopped, ..Self::new(output) })
    }

    /// Says how far it is, if it is time to; breaks off when the time is over, or it is told to.
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
        let is_over = self.end.is_some_and(|end| self.begun.elapsed() >= end);
        if is_over || self.is_stopped() {
            self.broke_off = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Whether somebody wants it to end before its time.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether it was told to break off.
    pub fn broke_off(&self) -> bool {
        self.broke_off
    }

    /// Takes the line away; how many seconds it took.
    pub fn finish(self) -> f64 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.begun.elapsed().as_secs_f64()
    }
}
