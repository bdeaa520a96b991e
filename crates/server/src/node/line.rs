//! As many calls run at once as a resource's setting allows; the others wait in line.
//!
//! What waits is a request, not a task: a hundred thousand may wait at a service that is slow.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::FutureExt as _;

use super::{Inner, requests::Waiting, resource::Resource};

/// The line of one resource. Bounded by the transactions that may be open.
pub(super) struct Line {
    running_max: usize,
    line: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: VecDeque<Waiting>,
}

impl Line {
    pub(super) fn new(running_max: usize) -> Self {
        Self { running_max, line: Mutex::default() }
    }

    /// Calls now, or as soon as there is a place.
    pub(super) fn call(inner: &Arc<Inner>, resource: &Arc<Resource>, request: Waiting) {
        let Some(request) = resource.line.enter(request) else { return };
        let (inner, resource) = (Arc::clone(inner), Arc::clone(resource));
        tokio::spawn(async move {
            let mut next = Some(request);
            while let Some(request) = next {
                let call = request.run(&inner, &resource);
                // A panic is a bug; the place in line must not be lost over it, too.
                let _ = std::panic::AssertUnwindSafe(call).catch_unwind().await;
                next = resource.line.leave();
            }
        });
    }

    fn enter(&self, request: Waiting) -> Option<Waiting> {
        let mut line = self.lock();
        if line.running >= self.running_max {
            line.waiting.push_back(request);
            return None;
        }
        line.running += 1;
        Some(request)
    }

    /// A place is free: for the next, if one waits.
    fn leave(&self) -> Option<Waiting> {
        let mut line = self.lock();
        let next = line.waiting.pop_front();
        if next.is_none() {
            line.running -= 1;
            // What a burst needed is not kept.
            line.waiting.shrink_to(64);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
