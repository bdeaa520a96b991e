//! Connections to one service, which are kept and used again.
//!
//! There are never more of them than calls that ran at once: one is made only when none is idle.
//! The one that was used last is used first, so that those that are not needed grow old.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::{Instant, sleep_until, timeout};
use tower::ServiceExt as _;

use super::CallError;

/// An idle connection is closed before the other side's patience may end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a kept connection may take to be at rest after its last answer.
const READY_WITHIN: Duration = Duration::from_millis(20);

/// A connection that takes one request at a time.
pub(super) type Connection = SendRequest<Full<Bytes>>;

pub(super) struct Pool {
    connector: HttpsConnector<HttpConnector>,
    address: Uri,
    idle: Arc<Mutex<Idle>>,
    idle_timeout: Duration,
}

/// The connections that nobody uses now.
#[derive(Default)]
struct Idle {
    /// Until when, oldest first.
    connections: VecDeque<(Instant, Connection)>,
    /// Somebody closes those that grow old.
    is_watched: bool,
}

impl Pool {
    /// To the service at this address; makes no connection yet.
    pub(super) fn new(connector: HttpsConnector<HttpConnector>, address: Uri) -> Self {
        Self { connector, address, idle: Arc::default(), idle_timeout: IDLE_TIMEOUT }
    }

    /// Sends a request. The connection is to be given back when the answer's body has been read.
    /// While `may_be_sent` is false, nothing of the request has left.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        may_be_sent: &mut bool,
    ) -> Result<(Connection, Response<Incoming>), CallError> {
        loop {
            let (mut connection, is_new) = match self.take() {
                Some(kept) => (kept, false),
                // In a box: it is most of a call's state, and few calls need it.
                None => (Box::pin(self.connect()).await?, true),
            };
            // One whose last request was answered before it was read whole is never ready again.
            if !is_new && !matches!(timeout(READY_WITHIN, connection.ready()).await, Ok(Ok(()))) {
                continue;
            }
            *may_be_sent = true;
            let mut error = match connection.try_send_request(request).await {
                Ok(answer) => return Ok((connection, answer)),
                Err(error) => error,
            };
            // The other side had closed the connection, and nothing was sent.
            let unsent = error.take_message();
            *may_be_sent = unsent.is_none();
            let why = with_causes(&error.into_error());
            request = match unsent {
                None => return Err(CallError::NoAnswer(why)),
                Some(_) if is_new => return Err(CallError::NotSent(why)),
                Some(unsent) => unsent,
            };
        }
    }

    /// Keeps a connection that nobody uses now.
    pub(super) fn give_back(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        idle.connections.push_back((Instant::now() + self.idle_timeout, connection));
        if !std::mem::replace(&mut idle.is_watched, true) {
            tokio::spawn(close_old(Arc::downgrade(&self.idle)));
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        idle.close_old();
        idle.connections.pop_back().map(|(_, connection)| connection)
    }

    async fn connect(&self) -> Result<Connection, CallError> {
        let stream = self.connector.clone().oneshot(self.address.clone()).await;
        let stream = stream.map_err(|error| CallError::NotSent(with_causes(&*error)))?;
        let made = http1::handshake(stream).await;
        let (sender, connection) = made.map_err(|error| CallError::NotSent(with_causes(&error)))?;
        // What it ends with is also said to whoever waits for an answer then.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Idle {
    /// Closes what is too old; says when the next will be.
    fn close_old(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while self.connections.front().is_some_and(|(until, _)| *until <= now) {
            self.connections.pop_front();
        }
        self.connections.front().map(|(until, _)| *until)
    }
}

/// Closes connections when they are too old, until there are none.
async fn close_old(all: Weak<Mutex<Idle>>) {
    while let Some(idle) = all.upgrade() {
        let next = {
            let mut idle = lock(&idle);
            let next = idle.close_old();
            idle.is_watched = next.is_some();
            next
        };
        drop(idle);
        match next {
            Some(next) => sleep_until(next).await,
            None => return,
        }
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn what_is_idle_for_long_is_closed_though_nobody_calls() {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", socket.local_addr().unwrap());
        let closed = tokio::spawn(async move {
            let (mut stream, _) = socket.accept().await.unwrap();
            let read = stream.read(&mut [0; 1024]).await.unwrap();
            assert!(read > 0, "a request comes first");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            stream.read(&mut [0; 1024]).await.unwrap()
        });
        let connector = crate::http::call::connector(
            crate::tls::trusting(None).unwrap(),
            Duration::from_secs(20),
        );
        let mut pool = Pool::new(connector, address.parse().unwrap());
        pool.idle_timeout = Duration::from_millis(10);
        let request = Request::new(Full::new(Bytes::new()));
        let (connection, _) = pool.send(request, &mut false).await.unwrap();
        pool.give_back(connection);
        let closed = tokio::time::timeout(Duration::from_secs(20), closed).await;
        assert_eq!(closed.expect("it is closed in time").unwrap(), 0);
    }
}
