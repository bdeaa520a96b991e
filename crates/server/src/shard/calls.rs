//! Who waits for an answer of the shard.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use handfast_core::{id::RequestId, shard::Answer};
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
        // Not under the lock: who is woken takes it first of all, to leave.
        let waiting = self.lock().remove(&request);
        if let Some(waiting) = waiting {
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
