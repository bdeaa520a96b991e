//! A Handfast node: the runtime around the core, its API and its configuration.

pub mod driver;
pub mod node;
pub mod sagas;
pub mod shard;
pub mod stop_point;

pub mod api;
pub mod auth;
pub mod config;
pub mod listen;
pub mod logging;
pub mod openapi;

mod inbox;
mod nearest;
mod outbox;
mod template;

use std::{future::Future, time::Duration};

use handfast_log::LogError;
use tokio::sync::oneshot;

use crate::{
    config::Config,
    listen::{ListenError, Listener},
    node::{Node, NodeSettings, StartError},
};

/// Why a node did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its log failed while it ran: what was not answered is not known, and the next start finds
    /// out.
    #[error("the log failed: {0}")]
    Log(LogError),
}

/// Runs a node until `shutdown`: then it stops accepting, lets running requests finish for the
/// configured grace, and closes its log. What is unfinished goes on at the next start.
///
/// # Errors
/// It did not start, and nothing has happened; or its log failed.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    // TLS has one provider here; somebody who embeds us may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = Listener::bind(&config).await?;
    let (broken, log_failed) = oneshot::channel();
    let node = start(&config, broken)?;
    let app = api::router(node.clone(), &config);
    tracing::info!(url = %format!("{}://{}", listener.scheme(), listener.address()), "listening");
    let mut failed = None;
    let until = async {
        tokio::select! {
            () = shutdown => tracing::info!("stopping"),
            Ok(error) = log_failed => failed = Some(error),
        }
    };
    let running = listener.serve(app, until).await;
    let grace = Duration::from_millis(config.stop_grace_ms);
    let (finished, ()) =
        tokio::join!(tokio::time::timeout(grace, running.shutdown()), node.stop(grace));
    if finished.is_err() {
        tracing::warn!("requests were still running when the grace was over");
    }
    match failed {
        Some(error) => Err(ServeError::Log(error)),
        None => Ok(()),
    }
}

fn start(config: &Config, broken: oneshot::Sender<LogError>) -> Result<Node, StartError> {
    let for_resources = config.clone();
    Node::start(NodeSettings {
        data_dir: config.data_dir.clone(),
        cluster: config.cluster.clone(),
        resources: Box::new(move |cluster| for_resources.resources(cluster)),
        paxos_acceptors: config.paxos_acceptors.clone(),
        recovery_interval: Duration::from_millis(config.recovery_interval_ms),
        open_max: config.open_max,
        retention: Duration::from_millis(config.retention_ms),
        on_broken: Box::new(move |error| drop(broken.send(error))),
    })
}
