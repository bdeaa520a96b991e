//! Messages on their way to one peer.
//!
//! They wait in a bounded queue; whoever finds it full drops the message, and the sender's machine
//! sends it again when its timer is over. One task sends what waits as one request, over a
//! connection that is kept, and never tries twice: the machines know better what is still wanted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use handfast_core::pact::Message;
use handfast_participants::http::{
    Caller,
    words::{MESSAGES_MAX, Messages},
};
use hyper::{Method, StatusCode};
use tokio::sync::mpsc;

use crate::stop_point;

/// Most messages that wait for one peer.
const QUEUE_MAX: usize = 4_096;
/// Most time for one request.
const WITHIN: Duration = Duration::from_millis(500);
/// Wait after a request that failed, so that a dead peer costs little. Short against the machines'
/// timers.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to one peer. Dropped, its task ends.
pub(crate) struct Outbox {
    queue: mpsc::Sender<Message>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Outbox {
    /// Starts the task that sends what is put here to the peer of that name. Must run inside tokio.
    pub(crate) fn start(name: String, caller: Caller) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let counts = Arc::new(Counts::default());
        tokio::spawn(deliver(name, caller, waiting, Arc::clone(&counts)));
        Self { queue, counts }
    }

    /// Never waits: without room the message is lost.
    pub(crate) fn put(&self, message: Message) {
        if self.queue.try_send(message).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many the peer took so far.
    pub(crate) fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// How many were lost on this side so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

async fn deliver(
    name: String,
    caller: Caller,
    mut waiting: mpsc::Receiver<Message>,
    counts: Arc<Counts>,
) {
    let mut failed_before = false;
    loop {
        let mut messages = Vec::new();
        if waiting.recv_many(&mut messages, MESSAGES_MAX).await == 0 {
            return;
        }
        let count = messages.len() as u64;
        match send(&caller, Messages { messages }).await {
            Ok(()) => {
                counts.sent.fetch_add(count, Ordering::Relaxed);
                failed_before = false;
            }
            Err(why) => {
                counts.dropped.fetch_add(count, Ordering::Relaxed);
                // Once for each time that it goes away.
                if !std::mem::replace(&mut failed_before, true) {
                    tracing::warn!(peer = name, why, "messages to a peer are lost");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn send(caller: &Caller, messages: Messages) -> Result<(), String> {
    stop_point::reach("before_messages");
    let body = serde_json::to_vec(&messages).expect("messages are made of what JSON can say");
    match caller.call(Method::POST, "/v1/messages", body, WITHIN).await {
        Ok((StatusCode::OK, _)) => Ok(()),
        Ok((status, _)) => Err(format!("it answered {status}")),
        Err(error) => Err(error.to_string()),
    }
}
