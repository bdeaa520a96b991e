//! The service that every saga calls: it does nothing, counts what arrives, and may hold sagas up.
//!
//! It runs in the process of the callers, so that a caller can wait until the last call of its saga
//! arrived; the coordinators run in processes of their own.

use std::{
    collections::HashSet,
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{HeaderValue, RETRY_AFTER},
    http::request::Parts,
    server::conn::http1,
    service,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Notify,
};

use super::load::Gid;
use crate::{Result, node};

/// Most time for a saga to end: dtmrs takes up what it let lie after 30 s.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// When those that are held up shall be asked again: rarely, for it is not the asking that is
/// measured.
const ASK_AGAIN_S: &str = "20";
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// A running service; shared by all who ask it.
#[derive(Default)]
pub struct Service {
    /// Where on this machine it listens.
    pub port: u16,
    /// What arrived.
    pub counts: Counts,
    /// While set, half of the sagas are held up in the first step, the others in the second: the
    /// answer is 202, "in progress".
    pub holds: AtomicBool,
    /// Which sagas came how far, while somebody wants to know.
    pub marks: Mutex<Option<Marks>>,
    /// For each client the number of its last saga whose second step arrived.
    arrived: Vec<(AtomicU64, Notify)>,
}

/// How many calls arrived and were done, by their paths.
#[derive(Default)]
pub struct Counts {
    /// First steps.
    pub one: AtomicU64,
    /// Second steps.
    pub two: AtomicU64,
    /// Deliveries.
    pub deliver: AtomicU64,
    /// Undos of either step.
    pub undo: AtomicU64,
    /// What should not have come.
    pub other: AtomicU64,
}

/// Sagas by their numbers.
#[derive(Default)]
pub struct Marks {
    /// Were held up.
    pub held: HashSet<u64>,
    /// Had their second step done.
    pub finished: HashSet<u64>,
}

impl Service {
    /// Starts it, for so many clients.
    pub fn start(clients: usize) -> Result<Arc<Self>> {
        let port = node::free_port()?;
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let listener = socket.listen(BACKLOG)?;
        let arrived = (0..clients).map(|_| Default::default()).collect();
        let service = Arc::new(Self { port, arrived, ..Self::default() });
        let serving = Arc::clone(&service);
        tokio::spawn(async move {
            // An accept fails when files run out; the callers hear of that themselves.
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).serve(stream));
            }
        });
        Ok(service)
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let answer = service::service_fn(|request| {
            let service = Arc::clone(&self);
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        if stream.set_nodelay(true).is_ok() {
            // A connection that breaks is a coordinator that was killed.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        // What is not read would end the connection.
        let read = body.collect().await.is_ok();
        let path = head.uri.path();
        let mut answer = Response::new(Full::new(Bytes::from_static(b"{}")));
        let count = match path {
            _ if !read => &self.counts.other,
            "/one" | "/two" if self.is_held(&head, path) => {
                *answer.status_mut() = StatusCode::ACCEPTED;
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(ASK_AGAIN_S));
                return answer;
            }
            "/one" => &self.counts.one,
            "/two" => {
                self.arrive(Gid::of(&head));
                &self.counts.two
            }
            "/deliver" => &self.counts.deliver,
            "/one-undo" | "/two-undo" => &self.counts.undo,
            _ => &self.counts.other,
        };
        count.fetch_add(1, Ordering::Relaxed);
        answer
    }

    fn is_held(&self, call: &Parts, path: &str) -> bool {
        if !self.holds.load(Ordering::Relaxed) {
            return false;
        }
        let Some(Gid { number, .. }) = Gid::of(call) else { return false };
        let held = number % 2 == u64::from(path == "/two");
        if let (true, Some(marks)) = (held, &mut *self.marks()) {
            marks.held.insert(number);
        }
        held
    }

    fn arrive(&self, gid: Option<Gid>) {
        let Some(Gid { client, number }) = gid else { return };
        if let Some((last, notify)) = self.arrived.get(client) {
            // A call that is made twice may come again after later ones.
            last.fetch_max(number, Ordering::AcqRel);
            notify.notify_one();
        }
        if let Some(marks) = &mut *self.marks() {
            marks.finished.insert(number);
        }
    }

    /// Locks the marks.
    pub fn marks(&self) -> MutexGuard<'_, Option<Marks>> {
        self.marks.lock().expect("nobody panics with it")
    }

    /// Waits until the second step of this saga has arrived.
    pub async fn wait_for(&self, gid: Gid) {
        let (last, notify) = &self.arrived[gid.client];
        while last.load(Ordering::Acquire) < gid.number {
            notify.notified().await;
        }
    }

    /// Waits until so many sagas have arrived whole, and checks that nothing else has.
    pub async fn verify(&self, sagas: u64) -> Result<()> {
        let start = Instant::now();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        while count(&counts.one) < sagas || count(&counts.two) < sagas {
            if start.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let found = [&counts.one, &counts.two, &counts.undo, &counts.other].map(count);
        if found != [sagas, sagas, 0, 0] {
            return Err(format!(
                "{sagas} sagas were told to be done; first steps, second steps, undos and other \
                 calls at the service: {found:?}"
            )
            .into());
        }
        Ok(())
    }
}
