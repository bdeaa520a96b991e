//! A node with an API over it, and a way to send it requests without a socket.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use handfast_server::{
    api,
    config::Config,
    node::{Node, NodeSettings},
};
use serde_json::Value as Json;
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tower::ServiceExt;
use tracing::subscriber::DefaultGuard;

/// A node of its own in a directory of its own.
pub struct World {
    pub router: Router,
    pub config: Config,
    node: Node,
    dir: TempDir,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Json,
}

impl Answer {
    /// The problem's code; the empty string if it is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl World {
    /// With two resources, `bank` (a database) and `shard`, that nobody answers for.
    pub fn new(flags: &[(&str, &str)]) -> Self {
        Self::over(TempDir::new().unwrap(), flags)
    }

    /// As [`World::new`], over the log that is in `data` of this directory.
    pub fn over(dir: TempDir, flags: &[(&str, &str)]) -> Self {
        let data = dir.path().join("data");
        let nowhere = nowhere();
        let mut all = vec![
            ("data_dir".to_owned(), data.to_str().unwrap().to_owned()),
            ("resources.bank.url".into(), format!("postgres://u@{nowhere}/bank")),
            ("resources.shard.url".into(), format!("http://{nowhere}")),
        ];
        all.extend(flags.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        Self::start(dir, Config::load(None, std::iter::empty(), &all).unwrap())
    }

    /// The node once more, over its own log.
    pub async fn restart(self) -> Self {
        let Self { config, node, dir, .. } = self;
        node.stop(Duration::ZERO).await;
        Self::start(dir, config)
    }

    fn start(dir: TempDir, config: Config) -> Self {
        let for_resources = config.clone();
        let node = Node::start(NodeSettings {
            data_dir: config.data_dir.clone(),
            cluster: config.cluster.clone(),
            resources: Box::new(move |cluster| for_resources.resources(cluster)),
            paxos_acceptors: config.paxos_acceptors.clone(),
            recovery_interval: Duration::from_secs(60),
            open_max: config.open_max,
            retention: Duration::from_secs(60),
            on_broken: Box::new(|error| panic!("the log failed: {error}")),
        })
        .unwrap();
        Self { router: api::router(node.clone(), &config), config, node, dir }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: impl ToString) -> Answer {
        post(&self.router, path, body).await
    }
}

/// Sends JSON.
pub async fn post(router: &Router, path: &str, body: impl ToString) -> Answer {
    let request = Request::post(path).header("content-type", "application/json");
    send(router, request.body(Body::from(body.to_string())).unwrap()).await
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 24).await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&bytes).into()));
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Log lines of this thread, as they are at the default level.
pub struct Lines {
    text: Text,
    _listening: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl io::Write for Text {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Listens until [`Lines::end`].
    pub fn begin() -> Self {
        let text = Text::default();
        let writer = text.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        Self { text, _listening: tracing::subscriber::set_default(log.finish()) }
    }

    pub fn end(self) -> String {
        String::from_utf8(self.text.0.lock().unwrap().clone()).unwrap()
    }
}

/// An address of this machine where nobody listens.
pub fn nowhere() -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}
