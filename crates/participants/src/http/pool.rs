//! Connections to one service, which are kept and used again.
//!
//! There are never more of them than calls that ran at once: one is made only when none is idle.
//! The one that was used last is used first, so that those that are not needed grow old.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
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
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::CallError;

/// An idle connection is not used again when the other side's patience may end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a kept connection may take to be at rest after its last answer.
const READY_WITHIN: Duration = Duration::from_millis(20);

/// A connection that takes one request at a time.
pub(super) type Connection = SendRequest<Full<Bytes>>;

pub(super) struct Pool {
    connector: HttpsConnector<HttpConnector>,
    address: Uri,
    /// Since when, oldest first.
    idle: Mutex<VecDeque<(Instant, Connection)>>,
}

impl Pool {
    /// To the service at this address; makes no connection yet.
    pub(super) fn new(connector: HttpsConnector<HttpConnector>, address: Uri) -> Self {
        Self { connector, address, idle: Mutex::default() }
    }

    /// Sends a request. The connection is to be given back when the answer's body has been read.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), CallError> {
        while let Some(mut kept) = self.take() {
            // One whose last request was answered before it was read whole is never ready again.
            if !matches!(timeout(READY_WITHIN, kept.ready()).await, Ok(Ok(()))) {
                continue;
            }
            match kept.try_send_request(request).await {
                Ok(answer) => return Ok((kept, answer)),
                Err(mut error) => match error.take_message() {
                    // The other side had closed it, and nothing was sent.
                    Some(unsent) => request = unsent,
                    None => return Err(no_answer(&error.into_error())),
                },
            }
        }
        let mut new = self.connect().await?;
        let answer = new.send_request(request).await.map_err(|error| no_answer(&error))?;
        Ok((new, answer))
    }

    /// Keeps a connection that nobody uses now.
    pub(super) fn give_back(&self, connection: Connection) {
        self.idle().push_back((Instant::now(), connection));
    }

    fn take(&self) -> Option<Connection> {
        let (now, mut idle) = (Instant::now(), self.idle());
        while idle.front().is_some_and(|(since, _)| now - *since > IDLE_TIMEOUT) {
            idle.pop_front();
        }
        idle.pop_back().map(|(_, connection)| connection)
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

    fn idle(&self) -> MutexGuard<'_, VecDeque<(Instant, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_answer(error: &hyper::Error) -> CallError {
    CallError::NoAnswer(with_causes(error))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
