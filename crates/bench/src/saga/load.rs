//! The callers: keep-alive connections, each with one saga at a time.

use std::{
    fmt,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
    http::request::Parts,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::service::{PATIENCE, Service};
use crate::{Result, median};

/// The name of a saga: whose it is, and a number that no other saga of this process has. As text
/// it rises with the number, as the names do that clients make (UUIDs of version 7).
#[derive(Clone, Copy)]
pub struct Gid {
    /// The index of its client.
    pub client: usize,
    /// Its number.
    pub number: u64,
}

impl Gid {
    /// A new one.
    pub fn next(client: usize) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Self { client, number: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }

    /// The saga that a call belongs to: Handfast says so in a header, dtmrs in the query.
    pub fn of(call: &Parts) -> Option<Self> {
        let header = call.headers.get("handfast-transaction").and_then(|gid| gid.to_str().ok());
        let query = || call.uri.query()?.split('&').find_map(|pair| pair.strip_prefix("gid="));
        let (number, client) = header.or_else(query)?.strip_prefix("b-")?.split_once('-')?;
        Some(Self { client: client.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b-{:012}-{}", self.number, self.client)
    }
}

/// One keep-alive connection.
pub struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    /// Opens it.
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Posts JSON and returns the answer's body; anything but 2xx is an error.
    pub async fn post(&mut self, path: &str, body: String) -> Result<Bytes> {
        let post = Request::post(path).header("content-type", "application/json");
        self.send(post.header("host", "localhost").body(Full::new(Bytes::from(body)))?).await
    }

    /// Gets a path, likewise.
    pub async fn get(&mut self, path: &str) -> Result<Bytes> {
        self.send(Request::get(path).header("host", "localhost").body(Full::default())?).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Bytes> {
        self.0.ready().await?;
        let answer = self.0.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(body)
    }
}

/// How a coordinator is asked to run a saga.
#[derive(Clone, Copy)]
pub struct Ask {
    /// The path that takes sagas.
    pub path: &'static str,
    /// The request for a saga over the service at this port.
    pub body: fn(Gid, u16) -> String,
    /// What the answer to it contains when all is well.
    pub fine: &'static str,
    /// Whether it is answered when the saga is done, or when it is accepted.
    pub answers: Answers,
}

/// When a coordinator answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// When the saga is done.
    Done,
    /// When it is accepted; the caller then waits until the service got the second step.
    Accepted,
}

/// Clients in a closed loop.
pub struct Load {
    /// The coordinator's port.
    pub port: u16,
    /// How it is asked.
    pub ask: Ask,
    /// The service that its sagas call.
    pub service: Arc<Service>,
    /// Sagas that the coordinator took responsibility for.
    told: AtomicU64,
}

/// When a client begins its next saga.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// When the last one is done.
    Done,
    /// When the last one was answered, done or not.
    Answered,
}

/// What one round gave.
#[derive(Clone, Copy)]
pub struct Round {
    /// Second steps that arrived at the service, per second.
    pub per_second: f64,
    /// Turns of the clients, per second.
    pub turns_per_second: f64,
    /// Milliseconds from a request until its saga was done.
    pub p50_ms: f64,
    /// The same, of the slowest hundredth.
    pub p99_ms: f64,
}

impl Load {
    /// Over a coordinator that listens at `port`.
    pub fn new(port: u16, ask: Ask, service: &Arc<Service>) -> Arc<Self> {
        Arc::new(Self { port, ask, service: Arc::clone(service), told: AtomicU64::new(0) })
    }

    /// So many clients in a closed loop.
    pub async fn round(
        self: &Arc<Self>,
        clients: usize,
        pace: Pace,
        seconds: f64,
    ) -> Result<Round> {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(Connection::open(self.port).await?);
        }
        let arrived = || self.service.counts.two.load(Ordering::Relaxed) as f64;
        let (before, start) = (arrived(), Instant::now());
        let until = start + Duration::from_secs_f64(seconds);
        let tasks = connections.into_iter().enumerate().map(|(client, mut connection)| {
            let load = Arc::clone(self);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < until {
                    let begun = Instant::now();
                    load.saga(client, &mut connection, pace).await?;
                    latencies.push(begun.elapsed().as_secs_f64() * 1e3);
                }
                Result::Ok(latencies)
            })
        });
        let limit = Duration::from_secs_f64(seconds) + PATIENCE;
        let mut latencies = Vec::new();
        for task in timeout(limit, join_all(tasks)).await.map_err(|_| "a saga never ended")? {
            latencies.extend(task??);
        }
        let elapsed = start.elapsed().as_secs_f64();
        latencies.sort_by(f64::total_cmp);
        Ok(Round {
            per_second: (arrived() - before) / elapsed,
            turns_per_second: latencies.len() as f64 / elapsed,
            p99_ms: latencies.get(latencies.len() * 99 / 100).copied().unwrap_or(f64::NAN),
            p50_ms: median(latencies),
        })
    }

    async fn saga(&self, client: usize, connection: &mut Connection, pace: Pace) -> Result<()> {
        let (ask, gid) = (&self.ask, Gid::next(client));
        let answer = connection.post(ask.path, (ask.body)(gid, self.service.port)).await?;
        if !contains(&answer, ask.fine) {
            return Err(format!("not done: {}", String::from_utf8_lossy(&answer)).into());
        }
        self.told.fetch_add(1, Ordering::Relaxed);
        if ask.answers == Answers::Accepted && pace == Pace::Done {
            self.service.wait_for(gid).await;
        }
        Ok(())
    }

    /// Sagas that the coordinator took responsibility for.
    pub fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }
}

/// Whether the text has that part.
pub fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}
