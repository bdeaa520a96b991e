//! The commands, one file each.

pub mod barrier;
pub mod check;
pub mod check_service;
pub mod demo;
mod file;
pub mod lab;
pub mod resource;
pub mod saga;
pub mod serve;
pub mod shard;
pub mod sim;
mod ticker;
pub mod tx;

use std::{ffi::OsString, path::Path, time::Duration};

use handfast_client::Handfast;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::Node,
    exit::{Exit, Failure},
};

/// A person waits: rather say soon that the node is away than try for long.
const PATIENCE: Duration = Duration::from_secs(2);

/// The client of the node that the command line names.
fn client(node: &Node) -> Result<Handfast, Failure> {
    patient_client(node, PATIENCE)
}

/// As [`client`], for what may keep a node busy.
fn patient_client(node: &Node, patience: Duration) -> Result<Handfast, Failure> {
    let mut builder = Handfast::builder(&node.server).timeout(patience);
    let in_file = node.token_file.as_deref().map(token).transpose()?;
    if let Some(token) = in_file.or_else(|| std::env::var("HANDFAST_TOKEN").ok()) {
        builder = builder.token(token);
    }
    if let Some(file) = &node.ca_file {
        builder = builder.ca_file(file);
    }
    Ok(builder.build()?)
}

fn token(file: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().into()),
        Err(e) => {
            let what = format!("failed to read {}: {e}", file.display());
            Err(Failure::new(Exit::Usage, what))
        }
    }
}

/// The variables that may be settings of a server: text, and not the command line's own.
fn settings() -> impl Iterator<Item = (String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).filter(|(name, _)| name != "HANDFAST_CA_FILE")
}

/// Comes with SIGTERM or SIGINT; the second of them ends the process at once.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |e| Failure::new(Exit::No, format!("failed to listen for signals: {e}"));
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            // What is durable is durable: the next start goes on from there.
            std::process::exit(Exit::No as i32);
        });
    })
}
