//! Effects go out: to participants, callers and timers.
//!
//! The partition's thread hands effects over; every call to a participant is a task of its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use handfast_client::wire;
use handfast_core::{
    id::RunId,
    plan::{Given, Verb},
    retry,
    transaction::{Answer, Decision, Effect, Index, Timer, Transaction},
};
use handfast_log::{Partition, Position, Sqlite};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    Inner,
    branches::Call,
    filling::Filling,
    lanes,
    metrics::Outcome,
    requests::{self, Request},
    resource::Place,
    warned::Warned,
};
use crate::{driver::now_ms, stop_point};

/// Prepares that run now, so that an abort can stop them first.
type Prepares = Arc<Mutex<HashMap<(RunId, Index), JoinHandle<()>>>>;
type Effects = Vec<(Arc<str>, Effect)>;

/// What the partition's thread does with effects. It waits for the node that is about to be there
/// and never again: every call is a task of its own.
///
/// `decided_at` puts ordered deliveries of the first turn, which recovery asked for, into the order
/// of their decisions.
pub(super) fn dispatcher(
    node: Arc<OnceLock<Arc<Inner>>>,
    decided_at: HashMap<Arc<str>, Position>,
) -> impl FnMut(&mut Partition<Transaction, Sqlite>, Effects) + Send + 'static {
    let (runtime, prepares, mut warned) =
        (Handle::current(), Prepares::default(), Warned::default());
    let mut recovered = Some(decided_at);
    move |partition, mut effects| {
        let (inner, _entered) = (node.wait(), runtime.enter());
        if let Some(decided_at) = recovered.take() {
            effects.sort_by_key(|(gid, effect)| match effect {
                Effect::Call { verb: Verb::Deliver, .. } => decided_at.get(gid).copied(),
                _ => None,
            });
        }
        let (prepares, warned) = (&prepares, &mut warned);
        let mut turn = Turn { inner, prepares, partition, warned, told: None };
        for (gid, effect) in effects {
            turn.dispatch(gid, effect);
        }
    }
}

/// What a turn asked for goes out.
struct Turn<'a> {
    inner: &'a Arc<Inner>,
    prepares: &'a Prepares,
    partition: &'a mut Partition<Transaction, Sqlite>,
    warned: &'a mut Warned,
    /// The last outcome that a caller was told.
    told: Option<(Arc<str>, Outcome)>,
}

impl Turn<'_> {
    fn dispatch(&mut self, gid: Arc<str>, effect: Effect) {
        match effect {
            Effect::Reply { request, answer } => {
                stop_point::reach("before_reply");
                match &answer {
                    Answer::Committed => {
                        self.told = Some((Arc::clone(&gid), Outcome::Committed));
                    }
                    Answer::Aborted(_) => {
                        self.told = Some((Arc::clone(&gid), Outcome::Aborted));
                    }
                    Answer::Taken => self.settle_lanes(&gid),
                    _ => {}
                }
                let branches = self.branches(&gid, &answer).unwrap_or_default();
                self.inner.reply(request, answer, branches);
            }
            Effect::Arm { timer, after_ms } => {
                self.warn_if_stuck(&gid, timer);
                let awaited = self.awaited(&gid, timer);
                self.arm(gid, timer, after_ms, awaited);
            }
            Effect::ArmAt { timer, at_ms } => {
                self.arm(gid, timer, at_ms.saturating_sub(now_ms()), None);
            }
            Effect::Recall { run } => self.decided(run, Outcome::Aborted),
            Effect::Close { run } => self.close(&gid, run),
            Effect::Alarm { branch, detail } => {
                self.inner.metrics.heuristic();
                tracing::error!(
                    gid = &*gid,
                    branch,
                    detail,
                    "a branch was finished against the decision"
                );
            }
            Effect::Prepare { .. } | Effect::Commit { .. } | Effect::Abort { .. } => {
                self.tell_branch(gid, effect);
            }
            Effect::Call { run, branch, resource, verb, within_ms, given } => {
                self.call((gid, run, branch), &resource, verb, within_ms, given);
            }
            Effect::Ask { run, resource, within_ms, given } => {
                self.call((gid, run, 0), &resource, Verb::Ask, within_ms, given);
            }
            Effect::Send { to, message } => self.inner.tell(to, message),
        }
    }

    /// The caller of a plan is shown its branches, while the machine is still at hand.
    fn branches(&self, gid: &str, answer: &Answer) -> Option<Vec<wire::BranchView>> {
        if !matches!(answer, Answer::Committed | Answer::Aborted(_) | Answer::Held) {
            return None;
        }
        let (saved, live) = self.partition.machine(gid)?;
        saved.known.as_ref()?.plan.as_ref()?;
        self.inner.view(gid, saved, live).map(|view| view.branches)
    }

    /// What branches that prepare are told.
    fn tell_branch(&mut self, gid: Arc<str>, effect: Effect) {
        match effect {
            Effect::Prepare { run, branch, resource, work, one_phase, within_ms, pact, given } => {
                let within = Duration::from_millis(within_ms);
                let call = self.branch(gid, run, branch, resource, given);
                let done = Arc::clone(self.prepares);
                // Held over spawn and insert: the task cannot take itself out before it is in.
                let mut running = self.prepares.lock().unwrap_or_else(PoisonError::into_inner);
                let task = tokio::spawn(async move {
                    call.prepare(work, one_phase, within, pact).await;
                    done.lock().unwrap_or_else(PoisonError::into_inner).remove(&(run, branch));
                });
                running.insert((run, branch), task);
            }
            Effect::Commit { run, branch, resource, proof, one_phase } => {
                // The commit of a held branch *is* the decision, if it succeeds.
                if !one_phase {
                    self.decided(run, Outcome::Committed);
                }
                let call = self.branch(gid, run, branch, resource, None);
                tokio::spawn(call.commit(proof, one_phase));
            }
            Effect::Abort { run, branch, resource, proof } => {
                self.decided(run, Outcome::Aborted);
                let call = self.branch(gid, run, branch, resource, None);
                let mut running = self.prepares.lock().unwrap_or_else(PoisonError::into_inner);
                let prepare = running.remove(&(run, branch));
                tokio::spawn(call.abort(prepare, proof));
            }
            _ => {}
        }
    }

    fn branch(
        &self,
        gid: Arc<str>,
        run: RunId,
        branch: Index,
        resource: String,
        given: Option<Given>,
    ) -> Call {
        let filling = given.map(|given| Filling::new(self.partition, &gid, given));
        Call { inner: Arc::clone(self.inner), gid, run, branch, resource, filling }
    }

    fn call(
        &self,
        (gid, run, branch): (Arc<str>, RunId, Index),
        resource: &str,
        verb: Verb,
        within_ms: u64,
        given: Given,
    ) {
        match verb {
            Verb::Undo | Verb::Cancel => self.decided(run, Outcome::Aborted),
            Verb::Deliver | Verb::Confirm => self.decided(run, Outcome::Committed),
            Verb::Do | Verb::Ask | Verb::Try => {}
        }
        let filling = Filling::new(self.partition, &gid, given);
        let within = Duration::from_millis(within_ms);
        let request = Request { gid, run, branch, verb, within, filling };
        match self.inner.resources.get(resource) {
            Some(resource) => requests::call(self.inner, resource, request),
            None => requests::nowhere(self.inner, resource, request),
        }
    }

    fn arm(&self, gid: Arc<str>, timer: Timer, after_ms: u64, awaited: Option<Place>) {
        let after_ms = jittered(timer, after_ms, || self.cap_ms(&gid, timer, after_ms));
        let armed = self.inner.driver.arm(after_ms, gid, timer);
        if let Some(useless) = self.inner.runs.keep_timer(run_of(timer), timer, armed, awaited) {
            self.inner.driver.disarm(useless);
        }
    }

    fn warn_if_stuck(&mut self, gid: &str, timer: Timer) {
        let known = self.partition.machine(gid).and_then(|(saved, _)| saved.known.as_ref());
        let Some(known) = known else { return };
        match timer {
            Timer::Retry(_, branch) => self.warned.tried_again(gid, known, branch),
            // A run that is forgotten is stuck in all its branches.
            Timer::Lead(_) => {
                for branch in (0..).take(known.branches.len()) {
                    self.warned.tried_again(gid, known, branch);
                }
            }
            Timer::Votes(_) | Timer::Deadline(_) => {}
        }
    }

    /// Which resource is asked again when a timer is over.
    fn awaited(&self, gid: &str, timer: Timer) -> Option<Place> {
        let known = self.partition.machine(gid)?.0.known.as_ref()?;
        let name = match timer {
            Timer::Retry(_, branch) => &known.branches.get(usize::from(branch))?.resource,
            Timer::Deadline(_) => &known.plan.as_ref()?.terms.ask.as_ref()?.resource,
            Timer::Votes(_) | Timer::Lead(_) => return None,
        };
        self.inner.place_of(name)
    }

    /// The longest wait that a branch's patience asks for. For a reservation's last try a tenth of
    /// its time is left; what is added by chance to the waits before must not use that up.
    fn cap_ms(&self, gid: &str, timer: Timer, after_ms: u64) -> u64 {
        let Timer::Retry(_, branch) = timer else { return retry::CAP_MS };
        let machine = self.partition.machine(gid);
        let plan = machine.and_then(|(saved, _)| saved.known.as_ref()?.plan.as_ref());
        let planned = plan.and_then(|plan| Some((plan, plan.branches.get(usize::from(branch))?)));
        let is_voting = machine.is_some_and(|(_, live)| live.voting.is_some());
        match planned {
            None => retry::CAP_MS,
            Some((plan, planned)) if is_voting && plan.reserves(branch) => {
                planned.part.patience.cap_ms.min(after_ms + plan.terms.timeout_ms / 100)
            }
            Some((_, planned)) if is_voting => planned.part.patience.cap_ms,
            Some((_, planned)) => planned.part.persistence.cap_ms,
        }
    }

    fn close(&mut self, gid: &Arc<str>, run: RunId) {
        self.warned.close(run);
        let Some(open) = self.inner.runs.remove(run) else { return };
        for armed in open.timers() {
            self.inner.driver.disarm(armed);
        }
        let Some(took) = open.is_measured().then(|| open.took()) else { return };
        let metrics = &self.inner.metrics;
        // If there was no branch to tell, the decision and the end are one.
        let decided = open.decided();
        if let Some(outcome) = decided.or_else(|| self.outcome(gid)) {
            if decided.is_none() {
                metrics.decided(outcome, took);
            }
            metrics.applied(outcome, took);
        }
    }

    /// How a transaction ended of which no branch was told: as its callers were told in the same
    /// turn, or, if nobody waited, as the log says.
    fn outcome(&mut self, gid: &Arc<str>) -> Option<Outcome> {
        if let Some((_, outcome)) = self.told.as_ref().filter(|(told, _)| told == gid) {
            return Some(*outcome);
        }
        match self.partition.look(gid).ok()??.0.known?.decision? {
            Decision::Commit => Some(Outcome::Committed),
            Decision::Abort(_) => Some(Outcome::Aborted),
        }
    }

    fn decided(&self, run: RunId, outcome: Outcome) {
        if let Some(took) = self.inner.runs.decided(run, outcome) {
            self.inner.metrics.decided(outcome, took);
        }
    }

    /// An operator had a word about this transaction: a delivery that is dealt with must not hold
    /// up those behind it.
    fn settle_lanes(&self, gid: &Arc<str>) {
        let known = self.partition.machine(gid).and_then(|(saved, _)| saved.known.as_ref());
        for resource in self.inner.resources.values() {
            let leaving = resource.lanes.settle(gid, |run, branch, key| {
                known.is_some_and(|known| known.run == run && lanes::waits(known, branch, key))
            });
            for request in leaving {
                requests::leave(self.inner, resource, request);
            }
        }
    }
}

fn run_of(timer: Timer) -> RunId {
    match timer {
        Timer::Votes(run) | Timer::Lead(run) | Timer::Deadline(run) | Timer::Retry(run, _) => run,
    }
}

/// Up to a quarter more of a retry's wait, different for each branch, but not beyond the longest
/// wait; deadlines are kept as they are, and so is what a service itself asks for beyond that.
fn jittered(timer: Timer, after_ms: u64, cap_ms: impl FnOnce() -> u64) -> u64 {
    match timer {
        Timer::Votes(_) | Timer::Lead(_) | Timer::Deadline(_) => after_ms,
        Timer::Retry(run, branch) => {
            let mixed = (run.number.wrapping_mul(31) + u64::from(branch)).wrapping_mul(0x9e37_79b9);
            let more = (mixed >> 7) % (after_ms / 4 + 1);
            (after_ms + more).min(cap_ms().max(after_ms))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_spread_but_not_beyond_the_longest() {
        let waits = |after_ms: u64| -> Vec<u64> {
            let retry = |number| Timer::Retry(RunId { epoch: 1, number }, 0);
            (0..100).map(|number| jittered(retry(number), after_ms, || 1_100)).collect()
        };
        let range = |waits: Vec<u64>| (waits.iter().min().copied(), waits.iter().max().copied());
        let (least, most) = range(waits(800));
        assert!(
            least >= Some(800) && most > Some(900) && most <= Some(1_000),
            "{least:?} {most:?}"
        );
        assert_eq!(range(waits(1_000)).1, Some(1_100));
        assert_eq!(range(waits(1_100)), (Some(1_100), Some(1_100)));
        assert_eq!(range(waits(5_000)), (Some(5_000), Some(5_000)), "a service asked for it");
        let run = RunId { epoch: 1, number: 7 };
        assert_eq!(jittered(Timer::Deadline(run), 700, || 1_100), 700);
    }
}
