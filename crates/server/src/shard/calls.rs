//! Who waits for an answer of the shard, and whom the shard asks.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use handfast_core::{
    id::{BranchId, RequestId},
    shard::{Answer, Inquired},
};
use handfast_participants::{
    http::{
        CallSettings, Caller,
        words::{DecisionWord, Inquiry},
    },
    tls,
};
use hyper::{Method, StatusCode};
use tokio::sync::oneshot;

/// Requests that wait for their answer. As many as connections, no more.
#[derive(Default)]
pub(super) struct Callers {
    last: AtomicU64,
    waiting: Mutex<HashMap<RequestId, oneshot::Sender<Answer>>>,
}

/// A place among the callers; given up when dropped.
pub(super) struct Waiting<'a> {
    callers: &'a Callers,
    pub request: RequestId,
}

impl Callers {
    pub(super) fn wait(&self) -> (Waiting<'_>, oneshot::Receiver<Answer>) {
        let request = RequestId(self.last.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        self.lock().insert(request, answer);
        (Waiting { callers: self, request }, answered)
    }

    /// The caller may have gone: then nobody is answered.
    pub(super) fn answer(&self, request: RequestId, answer: Answer) {
        if let Some(waiting) = self.lock().remove(&request) {
            drop(waiting.send(answer));
        }
    }

    /// Nobody will be answered any more.
    pub(super) fn drop_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, oneshot::Sender<Answer>>> {
        // Each change is one call on the map.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.callers.lock().remove(&self.request);
    }
}

/// The node that decides over the branches here.
pub(super) struct Coordinator(Caller);

impl Coordinator {
    /// Most inquiries at once.
    const CONNECTIONS_MAX: usize = 8;
    /// Most time to connect.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
    /// Most time of an inquiry, its wait for a connection included.
    const WITHIN: Duration = Duration::from_secs(5);

    pub(super) fn new(url: &str, token: Option<&str>) -> Result<Self, String> {
        let tls = tls::trusting(None)?;
        let (connections_max, connect_timeout) = (Self::CONNECTIONS_MAX, Self::CONNECT_TIMEOUT);
        Caller::new(CallSettings { url, token, tls, connections_max, connect_timeout }).map(Self)
    }

    /// What was decided over a branch.
    pub(super) async fn ask(&self, branch: &BranchId) -> Inquired {
        let path = format!("/v1/inquiries/{branch}");
        let answer = self.0.call(Method::GET, &path, Vec::new(), Self::WITHIN).await;
        let answer = match answer {
            Ok((StatusCode::OK, body)) => {
                serde_json::from_slice::<Inquiry>(&body).map_err(|why| why.to_string())
            }
            Ok((status, _)) => Err(format!("it answered {status}")),
            Err(error) => Err(error.to_string()),
        };
        match answer {
            Ok(Inquiry { decision: DecisionWord::Commit }) => Inquired::Commit,
            Ok(Inquiry { decision: DecisionWord::Abort }) => Inquired::Abort,
            Ok(Inquiry { decision: DecisionWord::Pending }) => Inquired::Pending,
            Err(why) => {
                tracing::debug!(%branch, %why, "the coordinator did not say what it decided");
                Inquired::Silent
            }
        }
    }
}
