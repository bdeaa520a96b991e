//! Messages of peers, as they come in, and what of them is dropped.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use handfast_core::pact::Message;
use handfast_participants::http::words::MESSAGES_MAX;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::{Problem, codes};

/// What peers say to each other.
// Each is understood by itself, so that one which only a later version knows does not cost the
// others.
#[derive(Deserialize, ToSchema)]
#[schema(as = Messages)]
pub(crate) struct Incoming {
    /// At most 64, in the words of docs/participant-protocol.md.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Box<RawValue>>,
}

impl Incoming {
    /// Whether they are few enough.
    ///
    /// # Errors
    /// What to answer if not.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let count = self.messages.len();
        if count <= MESSAGES_MAX {
            return Ok(());
        }
        let detail = format!("{count} messages; the limit is {MESSAGES_MAX}");
        Err(Problem::new(&codes::WRONG_SHAPE, detail))
    }

    /// Those that make sense here. The others are dropped, as messages may be.
    pub(crate) fn understood(&self, strangers: &Strangers) -> Vec<Message> {
        let understood = self.messages.iter().filter_map(|one| {
            let message = serde_json::from_str(one.get());
            if message.is_err() {
                let why = "a message makes no sense here: is its sender of another version?";
                strangers.dropped(why.into());
            }
            message.ok()
        });
        understood.collect()
    }
}

/// Messages that are dropped because of who sends them or should get them.
#[derive(Default)]
pub(crate) struct Strangers {
    messages: AtomicU64,
    logged: Mutex<BTreeSet<String>>,
}

impl Strangers {
    /// Most reasons that are remembered; of more, only the messages are counted.
    const LOGGED_MAX: usize = 64;

    /// Counts a message that is dropped, and says why once for each reason.
    pub(crate) fn dropped(&self, why: String) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        // Whole after any panic: each change is one call.
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < Self::LOGGED_MAX && !logged.contains(&why) {
            tracing::warn!(why, "messages are dropped");
            logged.insert(why);
        }
    }

    /// How many messages were dropped so far.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}
