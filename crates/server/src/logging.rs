//! Log lines: text for people, JSON for machines, always to stderr.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::{Config, LogFormat};

/// Starts to write log lines as configured. Only the first call in a process counts: a second one
/// changes nothing.
pub fn start(config: &Config) {
    let json = match config.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match json {
        true => Box::new(layer.json().flatten_event(true).with_span_list(false)),
        false => Box::new(layer.with_ansi(std::io::stderr().is_terminal()).with_target(false)),
    };
    let lines = layer.with_filter(filter(config));
    // An embedding program may have its own subscriber, which then gets the lines.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// The level is for our own lines; libraries speak only when something is wrong.
fn filter(config: &Config) -> EnvFilter {
    let level = config.log_level.as_str().to_ascii_lowercase();
    EnvFilter::new(format!("error,handfast={level}"))
}
