//! A shard: Handfast's own transactional key-value participant.
//!
//! ```text
//!          locks held, work done            told
//! waiting ──────────────────────▶ prepared ──────▶ committed or aborted, remembered
//!    │ condition, timeout, abort
//!    ▼
//! aborted, remembered
//! ```
//!
//! A branch that is prepared under a [pact](crate::pact) waits for its coordinator only so long:
//!
//! ```text
//! prepared ── asks; silence ─▶ takes over ─┬─ paxos: Claimed, F + 1 acceptors ─┬─▶ committed or
//!    │                                     └─ three-phase: asks the members ───┘    aborted, tells
//!    └─ three-phase: precommitted ─▶ the same
//! ```
//!
//! If those who would decide have forgotten the run, it only asks the other members, and is stuck
//! until one of them, or an operator, says how it ended.
//!
//! Besides, a shard is an acceptor for others' runs: `Promised`, `Accepted`.
//!
//! Rules, with their sources (Gray and Reuter 1993; Mohan, Lindsay, Obermarck 1986, "R*"):
//!
//! * Strict two-phase locking: all row locks of a branch are taken before its first operation, in
//!   the order of the keys, and kept until its decision. So branches cannot deadlock within a
//!   shard; across shards a bounded wait ends it.
//! * `Prepared` is forced before the vote yes leaves (R*, section 2). From then on the shard never
//!   decides alone.
//! * A branch without writes votes read-only, lets go and is forgotten (R*, 3.2). Not with a pact:
//!   there its yes counts.
//! * `Committed` and `Aborted` are forced before they are acknowledged: never ask for what was
//!   known once.
//! * An abort is remembered even if the branch was never seen: a prepare that arrives late is
//!   refused. What pruning forgets stays refused by a floor per cluster, see [`Finished`].
//! * After a restart every prepared branch has its locks again, and its coordinator is asked.

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
    string::String,
    vec::Vec,
};
use core::convert::Infallible;

mod acceptor;
mod asking;
mod locks;
mod paxos;
mod peers;
mod remembered;
mod state;
mod three_phase;
mod trace;
mod words;
mod work;

pub use acceptor::BUNDLES_MAX;
pub use locks::{Locks, Mode};
pub use remembered::{CLUSTERS_MAX, FINISHED_MAX, Remembered};
pub use state::{Acceptors, End, Finished, Inquiry, Lead, Live, Prepared, Saved, Waiting, Writes};
pub use words::{Answer, Effect, Input, Inquired, Record, Snapshot, Timer};

use crate::{
    id::{BranchId, RequestId},
    machine::{Machine, Output, Summary},
    pact::Pact,
    vote::{Ack, Cause, Proof, Refusal, Vote},
    work::{KeyOp, Rows, Value},
};

/// Longest wait for all locks of a branch, in milliseconds, unless the caller wants less.
pub const LOCK_WAIT_MS: u64 = 1_000;
/// Most branches that wait for locks; one more votes no at once.
pub const WAITING_MAX: usize = 1_024;
/// Most branches prepared at once; one more votes no.
pub const PREPARED_MAX: usize = 65_536;
/// Most requests that wait for the vote of one branch.
pub const ASKING_MAX: usize = 16;

/// The machine. One for each shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard;

impl Machine for Shard {
    type Saved = Saved;
    type Live = Live;
    type Asleep = Infallible;
    type Input = Input;
    type Record = Record;
    type Effect = Effect;

    fn step(saved: &Saved, live: &mut Live, input: Input, out: &mut Output<Self>) {
        let mut step = Step::new(saved, live, out);
        match input {
            Input::Prepare { request, branch, ops, lock_wait_ms, pact } => {
                step.prepare(request, branch, ops, lock_wait_ms, pact);
            }
            Input::Commit { request, branch } => step.commit_asked(request, &branch),
            Input::Abort { request, branch } => step.abort_asked(request, &branch),
            Input::Load { request, keys } => step.load(request, keys),
            Input::Answered { branch, answer } => step.answered(branch, answer),
            Input::Fired(Timer::LockWait(branch)) => step.lock_wait_over(&branch),
            Input::Fired(Timer::Inquire(branch)) => step.inquire(branch),
            Input::Fired(Timer::Lead(branch)) => step.lead_timed_out(&branch),
            Input::Received { message } => step.received(&message),
        }
        step.settle();
    }

    fn apply(saved: &mut Saved, record: &Record) {
        saved.apply(record);
    }

    fn restart(saved: &Saved, live: &mut Live, out: &mut Output<Self>) {
        for (branch, prepared) in &saved.prepared {
            for (key, mode) in prepared.locks() {
                live.locks.take(key, mode, branch);
            }
            let inquiry = Inquiry { is_recovering: true, ..Inquiry::default() };
            live.inquiries.insert(branch.clone(), inquiry);
            out.effect(Effect::Inquire { branch: branch.clone() });
        }
    }

    fn is_open(_: &Saved) -> bool {
        true
    }

    /// Never: reading it back costs a fold of everything it holds.
    fn is_idle(_: &Live) -> bool {
        false
    }

    /// Never, for the same reason.
    fn sleep(_: &Saved, _: &Live) -> Option<Infallible> {
        None
    }

    fn wake(_: &Saved, asleep: Infallible) -> Live {
        match asleep {}
    }

    fn summary(_: &Saved) -> Summary {
        Summary { state: "serving", label: String::new() }
    }

    fn snapshot(saved: &Saved) -> Option<Record> {
        Some(Record::Snapshot(saved.snapshot()))
    }
}

/// One step: what is saved (as it was before), what is live, and what is asked for.
struct Step<'a> {
    saved: &'a Saved,
    live: &'a mut Live,
    out: &'a mut Output<Shard>,
    /// What this step commits, over what is saved: those who get its locks must see it.
    committed: Option<&'a Writes>,
    /// Branches that were given a lock and have yet to go on.
    granted: VecDeque<BranchId>,
}

/// Until the vote.
impl<'a> Step<'a> {
    fn new(saved: &'a Saved, live: &'a mut Live, out: &'a mut Output<Shard>) -> Self {
        Self { saved, live, out, committed: None, granted: VecDeque::new() }
    }

    fn prepare(
        &mut self,
        request: RequestId,
        branch: BranchId,
        ops: Vec<KeyOp>,
        wait_ms: u64,
        pact: Option<Pact>,
    ) {
        if let Some(prepared) = self.saved.prepared.get(&branch) {
            self.vote_to_acceptors(&branch, prepared.pact.as_ref());
            return self.vote(request, Vote::Yes(Proof::default()), prepared.rows());
        }
        match self.saved.finished.end(&branch) {
            Some(End::Committed) => {
                return self.vote(request, Vote::Yes(Proof::default()), Vec::new());
            }
            Some(End::Aborted) => return self.vote(request, Vote::No(aborted()), Vec::new()),
            None => {}
        }
        if self.saved.finished.may_be_forgotten(&branch) {
            return self.vote(request, Vote::No(too_old()), Vec::new());
        }
        match self.live.waiting.get_mut(&branch) {
            Some(waiting) if waiting.requests.contains(&request) => {}
            Some(waiting) if waiting.requests.len() < ASKING_MAX => waiting.requests.push(request),
            Some(_) => self.reply(request, Answer::Busy),
            None => self.begin(request, branch, ops, wait_ms, pact),
        }
    }

    fn begin(
        &mut self,
        request: RequestId,
        branch: BranchId,
        ops: Vec<KeyOp>,
        wait_ms: u64,
        pact: Option<Pact>,
    ) {
        let (requests, wants) = (Vec::from([request]), work::locks(&ops));
        let mut waiting = Waiting { requests, wants, ops, held: 0, pact };
        if let Some(why) = waiting.pact.as_ref().and_then(|pact| peers::unfit(pact, &branch)) {
            self.refuse(branch, waiting, why);
        } else if self.take_locks(&branch, &mut waiting) {
            self.run(branch, waiting);
        } else if self.live.waiting.len() >= WAITING_MAX {
            self.leave_queue(&branch, &waiting);
            let message = format!("{WAITING_MAX} branches wait for locks already");
            self.refuse(branch, waiting, refusal("lock_timeout", message, Cause::Passing));
        } else {
            let after_ms = wait_ms.min(LOCK_WAIT_MS);
            self.arm(Timer::LockWait(branch.clone()), after_ms);
            self.live.waiting.insert(branch, waiting);
        }
    }

    /// Takes locks in the order of the keys. False if one is held by others: then the branch
    /// stands in that lock's queue and keeps those it has.
    fn take_locks(&mut self, branch: &BranchId, waiting: &mut Waiting) -> bool {
        while let Some((key, mode)) = waiting.wants.get(waiting.held) {
            if !self.live.locks.take(key, *mode, branch) {
                return false;
            }
            waiting.held += 1;
        }
        true
    }

    /// Does the work of a branch that has all its locks, and votes.
    fn run(&mut self, branch: BranchId, waiting: Waiting) {
        let view = work::View { keys: &self.saved.keys, over: self.committed };
        let prepared = match work::run(&view, &waiting.ops) {
            Err(refusal) => return self.refuse(branch, waiting, refusal),
            Ok(prepared) => Prepared { pact: waiting.pact.clone(), ..prepared },
        };
        let rows = prepared.rows();
        // With a pact it stays: without its yes no acceptor would have all votes.
        if prepared.writes.is_empty() && prepared.pact.is_none() {
            self.let_go(&branch, &waiting);
            return self.vote_all(waiting.requests, &Vote::ReadOnly, &rows);
        }
        if self.saved.prepared.len() >= PREPARED_MAX {
            let message = format!("{PREPARED_MAX} branches are prepared already");
            let why = refusal("prepared_slots", message, Cause::Passing);
            return self.refuse(branch, waiting, why);
        }
        self.out.force(Record::Prepared { branch: branch.clone(), prepared });
        self.vote_all(waiting.requests, &Vote::Yes(Proof::default()), &rows);
        if let Some(pact) = &waiting.pact {
            self.doubt(&branch, pact);
        }
    }

    /// Votes no. The record is lazy: should a crash forget it, a prepare that comes twice may be
    /// prepared the second time, and its coordinator, when asked, says abort.
    ///
    /// With a pact it is forced: there the second time could complete the votes, and whoever takes
    /// over would commit what the coordinator has told its caller to be aborted.
    fn refuse(&mut self, branch: BranchId, waiting: Waiting, why: Refusal) {
        self.let_go(&branch, &waiting);
        match waiting.pact {
            Some(_) => self.out.force(Record::Aborted { branch }),
            None => self.out.note(Record::Aborted { branch }),
        }
        self.vote_all(waiting.requests, &Vote::No(why), &[]);
    }

    fn lock_wait_over(&mut self, branch: &BranchId) {
        let Some(waiting) = self.live.waiting.remove(branch) else { return };
        self.leave_queue(branch, &waiting);
        let key = &waiting.wants[waiting.held].0;
        let message = format!("key `{key}` was locked by another transaction for too long");
        self.refuse(branch.clone(), waiting, refusal("lock_timeout", message, Cause::Passing));
    }

    fn leave_queue(&mut self, branch: &BranchId, waiting: &Waiting) {
        let (key, _) = &waiting.wants[waiting.held];
        self.granted.extend(self.live.locks.leave(key, branch));
    }

    fn let_go(&mut self, branch: &BranchId, waiting: &Waiting) {
        for (key, _) in &waiting.wants[..waiting.held] {
            self.granted.extend(self.live.locks.release(key, branch));
        }
    }

    /// Lets those go on who were given a lock, until nobody can. Every step ends with it.
    fn settle(&mut self) {
        while let Some(branch) = self.granted.pop_front() {
            let Some(mut waiting) = self.live.waiting.remove(&branch) else { continue };
            waiting.held += 1;
            if self.take_locks(&branch, &mut waiting) {
                self.run(branch, waiting);
            } else {
                self.live.waiting.insert(branch, waiting);
            }
        }
    }
}

/// The decision.
impl Step<'_> {
    fn commit_asked(&mut self, request: RequestId, branch: &BranchId) {
        let end = self.saved.finished.end(branch);
        let answer = if self.commit(branch) || end == Some(End::Committed) {
            Answer::Acked(Ack::Finished)
        } else if end.is_none() && self.saved.finished.may_be_forgotten(branch) {
            Answer::Forgotten
        } else {
            self.fence(branch);
            Answer::Acked(Ack::Heuristic("it is not prepared here and never will be".into()))
        };
        self.reply(request, answer);
    }

    fn abort_asked(&mut self, request: RequestId, branch: &BranchId) {
        let end = self.saved.finished.end(branch);
        let answer = if end == Some(End::Committed) {
            Answer::Acked(Ack::Heuristic("it was committed here".into()))
        } else {
            // Below the floor it holds nothing already, and a late prepare is refused.
            let is_fenced = end.is_none() && self.saved.finished.may_be_forgotten(branch);
            if !self.abort(branch) && !is_fenced {
                self.fence(branch);
            }
            Answer::Acked(Ack::Finished)
        };
        self.reply(request, answer);
    }

    /// Commits a prepared branch; false if it is not prepared.
    fn commit(&mut self, branch: &BranchId) -> bool {
        let Some(prepared) = self.saved.prepared.get(branch) else { return false };
        self.out.force(Record::Committed { branch: branch.clone() });
        self.committed = Some(&prepared.writes);
        self.finish(branch, prepared);
        true
    }

    /// Aborts a prepared branch; false if it is not prepared.
    fn abort(&mut self, branch: &BranchId) -> bool {
        let Some(prepared) = self.saved.prepared.get(branch) else { return false };
        self.out.force(Record::Aborted { branch: branch.clone() });
        self.finish(branch, prepared);
        true
    }

    fn finish(&mut self, branch: &BranchId, prepared: &Prepared) {
        self.live.inquiries.remove(branch);
        for (key, _) in prepared.locks() {
            self.granted.extend(self.live.locks.release(key, branch));
        }
    }

    /// Aborts a branch that is not prepared, so that it never will be. Recorded even if it was
    /// aborted before: the record of a no is lazy, and what is acknowledged must be durable.
    fn fence(&mut self, branch: &BranchId) {
        self.out.force(Record::Aborted { branch: branch.clone() });
        if let Some(waiting) = self.live.waiting.remove(branch) {
            self.leave_queue(branch, &waiting);
            self.let_go(branch, &waiting);
            self.vote_all(waiting.requests, &Vote::No(aborted()), &[]);
        }
    }

    /// Writes initial values. Refused while one of the keys is locked: it would be a lost update.
    fn load(&mut self, request: RequestId, keys: BTreeMap<String, Value>) {
        let answer = match keys.keys().find(|key| self.live.locks.is_locked(key)) {
            Some(key) => Answer::Locked(key.clone()),
            None => Answer::Loaded(keys.len()),
        };
        if matches!(answer, Answer::Loaded(_)) {
            self.out.force(Record::Loaded { keys });
        }
        self.reply(request, answer);
    }
}

/// What is asked for.
impl Step<'_> {
    fn vote_all(&mut self, requests: Vec<RequestId>, vote: &Vote, rows: &[Rows]) {
        for request in requests {
            self.vote(request, vote.clone(), rows.to_vec());
        }
    }

    fn vote(&mut self, request: RequestId, vote: Vote, rows: Vec<Rows>) {
        self.reply(request, Answer::Voted { vote, rows });
    }

    fn reply(&mut self, request: RequestId, answer: Answer) {
        self.out.effect(Effect::Reply { request, answer });
    }

    fn arm(&mut self, timer: Timer, after_ms: u64) {
        self.out.effect(Effect::Arm { timer, after_ms });
    }
}

fn aborted() -> Refusal {
    refusal("branch_reused", "this branch was aborted before".into(), Cause::Passing)
}

fn too_old() -> Refusal {
    let message = "later branches of this cluster are finished and forgotten already";
    refusal("branch_reused", message.into(), Cause::Passing)
}

fn refusal(code: &str, message: String, cause: Cause) -> Refusal {
    Refusal { code: code.into(), message, cause }
}
