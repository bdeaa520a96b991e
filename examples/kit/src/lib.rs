//! What the examples and the demos share.
//!
//! [`service`] is what a service needs: its database with the barrier in it. The rest plays:
//! processes that are killed, callers that keep what they were told, and what to say about it.

mod answer;
mod book;
mod callers;
mod chance;
mod kills;
mod options;
mod part;
pub mod process;
mod screen;
pub mod service;
mod settle;
mod stage;
mod standing;
mod tally;
mod trouble;
#[cfg(feature = "kill-points")]
pub mod victim;
mod world;

use std::path::Path;

use handfast_server::config::Config;
use tokio::signal::unix::{SignalKind, signal};

pub use self::{
    answer::Answer,
    book::Book,
    chance::{Chance, fresh_name},
    options::{Options, share},
    part::{Part, WORDS, end},
    process::Process,
    screen::Screen,
    service::{Role, Service, ServiceArgs},
    stage::{INTERRUPTED, Stage, Story},
    standing::{Standing, Standings},
    tally::{Tally, Verdicts},
    world::{Setup, Words},
};

/// Runs a node with the settings of that file until SIGTERM or SIGINT comes.
///
/// # Errors
/// In words: it did not start, or its log failed.
pub async fn node(config: &Path) -> Result<(), String> {
    let config = Config::load(Some(config), std::iter::empty(), &[]).map_err(|e| e.to_string())?;
    handfast_server::logging::start(&config);
    let stop = stop_signal()?;
    handfast_server::serve(config, stop).await.map_err(|e| e.to_string())
}

/// Comes with SIGTERM or SIGINT.
///
/// # Errors
/// In words: the process cannot listen for signals.
pub fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    let failed = |e: std::io::Error| format!("failed to listen for signals: {e}");
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    })
}
