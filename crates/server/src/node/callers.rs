//! Callers who wait for an answer, and the rows that wait for them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use handfast_client::wire;
use handfast_core::{
    id::{RequestId, RunId},
    transaction::{Answer, Index, Input, Transaction},
    work::Rows,
};
use handfast_log::Refused;
use tokio::sync::oneshot;

use super::{Inner, Rejected, view};

/// What a caller is told, or why the machine was not asked.
pub(super) type Answered = Result<Told, Rejected>;

/// What the machine answers, and of a plan how its branches were then.
pub(super) struct Told {
    pub(super) answer: Answer,
    pub(super) branches: Vec<wire::BranchView>,
}

/// Everyone who waits.
#[derive(Default)]
pub(super) struct Callers {
    last: AtomicU64,
    answers: Mutex<HashMap<RequestId, oneshot::Sender<Answered>>>,
    results: Mutex<HashMap<RunId, BTreeMap<Index, Vec<Rows>>>>,
}

/// One who waits; leaving, however it happens, frees the place.
pub(super) struct Waiting {
    pub(super) request: RequestId,
    run: Option<RunId>,
    callers: Arc<Callers>,
}

impl Callers {
    /// Makes a place for an answer; with a run, for the rows that its branches return too.
    pub(super) fn wait(
        self: &Arc<Self>,
        run: Option<RunId>,
    ) -> (Waiting, oneshot::Receiver<Answered>) {
        let request = RequestId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let (answer, answered) = oneshot::channel();
        lock(&self.answers).insert(request, answer);
        if let Some(run) = run {
            lock(&self.results).insert(run, BTreeMap::new());
        }
        (Waiting { request, run, callers: Arc::clone(self) }, answered)
    }

    pub(super) fn answer(&self, request: RequestId, answer: Answered) {
        // Not under the lock: who is woken takes it first of all, to leave.
        let waiting = lock(&self.answers).remove(&request);
        if let Some(waiting) = waiting {
            // A caller who left needs no answer.
            let _ = waiting.send(answer);
        }
    }

    /// Keeps a branch's rows for the caller who began the run, if it still waits.
    pub(super) fn keep_rows(&self, run: RunId, branch: Index, rows: Vec<Rows>) {
        if !rows.is_empty()
            && let Some(results) = lock(&self.results).get_mut(&run)
        {
            results.insert(branch, rows);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.answers).is_empty()
    }
}

/// Tells those who asked that what the log holds of their transaction is damaged.
pub(super) fn refuse(inner: &Inner, refused: Vec<Refused<Transaction>>) {
    for Refused { input, why } in refused {
        tracing::error!(gid = &*input.stream, why, "a transaction's records are damaged");
        let request = match input.input {
            Input::Begin(begin) => {
                inner.runs.remove(begin.run);
                begin.request
            }
            Input::CommitAsked { request }
            | Input::AbortAsked { request, .. }
            | Input::RetryAsked { request, .. }
            | Input::Add { request, .. }
            | Input::Edit { request, .. }
            | Input::Resolved { request, .. }
            | Input::Inquired { request, .. } => request,
            Input::Voted { .. }
            | Input::Acked { .. }
            | Input::Answered { .. }
            | Input::AskedBack { .. }
            | Input::Fired(_)
            | Input::Received { .. } => continue,
        };
        inner.callers.answer(request, Err(Rejected::Damaged));
    }
}

impl Waiting {
    /// The rows of the run's branches, by the branches' `names`.
    pub(super) fn take_results(
        &mut self,
        names: &[String],
    ) -> BTreeMap<String, Vec<wire::ResultSet>> {
        let rows = self.run.and_then(|run| lock(&self.callers.results).remove(&run));
        let named = rows.unwrap_or_default().into_iter().filter_map(|(index, rows)| {
            let sets = rows.into_iter().map(view::result_set).collect();
            Some((names.get(usize::from(index))?.clone(), sets))
        });
        named.collect()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.callers.answers).remove(&self.request);
        if let Some(run) = self.run {
            lock(&self.callers.results).remove(&run);
        }
    }
}

/// A panic elsewhere leaves these maps whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
