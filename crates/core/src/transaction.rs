//! A transaction at its coordinator: two-phase commit with presumed abort, and two ways to decide
//! that outlive the coordinator.
//!
//! ```text
//!            all yes                 sync                     all acknowledged
//! preparing ─────────▶ Decided(commit) ─▶ committing ───────────────────▶ Finished
//!     │ no, lost, timeout, caller                │ found rolled back
//!     ▼                                          ▼
//! Decided(abort) ─▶ aborting ─▶ Finished       mixed: waits for a person
//! ```
//!
//! With a [pact](crate::pact) the decision comes about among several:
//!
//! ```text
//! paxos        Begun ─▶ preparing ── all yes ──▶ Accepted (as acceptor 0) ─┬─ F + 1 ─▶ Decided
//!                           └─ lost, timeout, restart ─▶ Claimed (leader) ─┘
//! three-phase  preparing ── all yes ─▶ PreCommitted ── acknowledged, or dead ─▶ Decided(commit)
//!                                           └─ restart: asks the members ─────▶ Decided(either)
//! ```
//!
//! With a [plan](crate::plan) steps are done before the decision, and deliveries after it:
//!
//! ```text
//! Begun ─▶ running ── each step: Done, then the next ── prepare ─▶ Decided(commit) ─▶ deliver
//!             └─ refused, patience over, deadline, caller ─▶ Decided(abort) ─▶ undo, last first
//! ```
//!
//! Rules, with their sources (Mohan, Lindsay, Obermarck 1986, "R*"; Gray and Lamport 2006):
//!
//! * Nothing is recorded before the branches prepare; a crash then means abort, by presumption
//!   (R*, section 3.1).
//! * `Decided` is forced. Its sync is the commit point: no `Commit` leaves before it (R*, 2).
//! * An abort is recorded too, and before a caller is told it: the answer for a gid never changes.
//!   R* would not record it; it had no callers who ask twice.
//! * An inquiry is answered "abort" only when commit is impossible: never while votes are awaited.
//! * The decision is told to every branch that may be prepared until each is *proved* finished.
//!   Only then `Finished`; it is lazy, since losing it only means telling them again (R*, 3.1: the
//!   end record need not be forced).
//! * Read-only branches drop out (R*, 3.2). A read-only transaction is recorded all the same, so
//!   that its gid keeps its answer.
//! * A transaction of one branch that can prove its end commits in one phase: `Delegated` is forced
//!   first, so that after a crash the branch is asked what became of it, never run again.
//! * A run with a pact is never delegated, held or read-only, and is aborted alone by its
//!   coordinator only when no member can have committed it: after a vote no, or, in three-phase
//!   commit, before `PreCommitted`. With Paxos commit and F = 0 there is nobody else to decide, and
//!   nothing of this applies: it is two-phase commit.

use alloc::{format, string::String, vec::Vec};

mod asleep;
mod effects;
mod live;
mod operate;
mod paxos;
mod peers;
mod state;
mod steps;
mod tell;
mod three_phase;
mod trace;
mod words;

pub use asleep::Asleep;
pub use effects::{Answer, Effect};
pub use live::{Lead, Live, Telling, Voting};
pub use state::{Fate, Known, KnownBranch, Saved};
pub use words::{
    AckWhen, Begin, BranchSpec, Case, CaseBranch, Decision, Index, Input, Reason, Record, Timer,
    Tried, Voted,
};

use crate::{
    id::{RequestId, RunId},
    machine::{Machine, Output, Summary},
    pact::Way,
    plan::{Kind, Verb},
    vote::{Cause, Vote},
};

/// Most callers that may wait for one transaction.
pub const WAITERS_MAX: usize = 256;

/// The machine. One for each gid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction;

impl Machine for Transaction {
    type Saved = Saved;
    type Live = Live;
    type Asleep = Asleep;
    type Input = Input;
    type Record = Record;
    type Effect = Effect;

    fn step(saved: &Saved, live: &mut Live, input: Input, out: &mut Output<Self>) {
        let mut step = Step { known: saved.known.as_ref(), live, out };
        match input {
            Input::Begin(begin) => step.begin(begin),
            Input::Voted { run, branch, vote, tried } => {
                step.prepared(run, branch, vote, tried);
            }
            Input::Acked { run, branch, ack, took_ms } => step.acked(run, branch, ack, took_ms),
            Input::Answered { run, branch, reply, took_ms } => {
                step.answered(run, branch, reply, took_ms);
            }
            Input::AskedBack { run, reply } => step.asked_back(run, reply),
            Input::Fired(Timer::Votes(run)) => step.votes_timed_out(run),
            Input::Fired(Timer::Retry(run, branch)) => step.retry(run, branch),
            Input::Fired(Timer::Lead(run)) => step.lead_timed_out(run),
            Input::Fired(Timer::Deadline(run)) => step.deadline_over(run),
            Input::Received { message } => step.received(&message),
            Input::Inquired { request, run } => step.inquired(request, run),
            Input::CommitAsked { request } => step.commit_asked(request),
            Input::AbortAsked { request, reason } => step.abort_asked(request, reason),
            Input::Add { request, branch } => step.add(request, branch),
            Input::RetryAsked { request, branch } => step.retry_asked(request, branch),
            Input::Edit { request, branch, work, uses, reason } => {
                step.edit(request, branch, (work, uses), reason);
            }
            Input::Resolved { request, branch, committed, reason } => {
                step.resolved(request, branch, committed, reason);
            }
        }
    }

    fn apply(saved: &mut Saved, record: &Record) {
        saved.apply(record);
    }

    fn restart(saved: &Saved, live: &mut Live, out: &mut Output<Self>) {
        let mut step = Step { known: saved.known.as_ref(), live, out };
        step.lead_again();
        step.resume();
        step.tell_all();
    }

    /// That a step is done need not be durable before another one is asked that can be undone
    /// blindly: see `steps`.
    fn leaves_ahead(records: &[Record], effect: &Effect) -> bool {
        let ([Record::Done { .. }], Effect::Call { verb: Verb::Do, branch, given, .. }) =
            (records, effect)
        else {
            return false;
        };
        given.plan.may_leave_ahead(*branch)
    }

    fn is_open(saved: &Saved) -> bool {
        saved.known.as_ref().is_some_and(|known| !known.finished)
    }

    fn is_idle(live: &Live) -> bool {
        live.voting.is_none() && live.lead.is_none() && live.waiters.is_empty()
    }

    fn sleep(saved: &Saved, live: &Live) -> Option<Asleep> {
        Asleep::of(saved, live)
    }

    fn wake(saved: &Saved, asleep: Asleep) -> Live {
        asleep.wake(saved)
    }

    fn summary(saved: &Saved) -> Summary {
        saved.summary()
    }

    /// None: a transaction's stream is short.
    fn snapshot(_: &Saved) -> Option<Record> {
        None
    }
}

/// One step: what is saved (as it was before), what is live, and what is asked for.
struct Step<'a> {
    known: Option<&'a Known>,
    live: &'a mut Live,
    out: &'a mut Output<Transaction>,
}

/// Until the decision.
impl Step<'_> {
    fn begin(&mut self, begin: Begin) {
        let before = self.known.map(|known| &known.fingerprint);
        let before = before.or(self.live.voting.as_ref().map(|voting| &voting.fingerprint));
        if before.is_some() {
            self.out.effect(Effect::Close { run: begin.run });
        }
        match before {
            Some(before) if *before != begin.fingerprint => {
                self.reply(begin.request, Answer::OtherContent);
            }
            Some(_) if self.live.voting.as_ref().is_some_and(Voting::is_held) => {
                self.reply(begin.request, Answer::Held);
            }
            Some(_) => self.attend(begin.request, begin.ack),
            None => self.start(begin),
        }
    }

    fn start(&mut self, begin: Begin) {
        let voting = Voting::new(&begin);
        if voting.plan.is_some() {
            return self.begin_plan(voting, begin.request, begin.ack);
        }
        if voting.is_paxos() {
            self.begin_ballot_0(&voting);
        }
        for (branch, spec) in begin.branches.into_iter().enumerate() {
            self.out.effect(Effect::Prepare {
                run: begin.run,
                branch: index(branch),
                resource: spec.resource,
                work: spec.work,
                one_phase: voting.one_phase,
                within_ms: begin.timeout_ms,
                pact: voting.pact.clone(),
                given: None,
            });
        }
        self.live.waiters.push((begin.request, begin.ack));
        self.live.voting = Some(voting);
        self.arm(Timer::Votes(begin.run), begin.timeout_ms);
    }

    /// Answers the caller if its answer is known, else lets it wait.
    fn attend(&mut self, request: RequestId, ack: AckWhen) {
        let answer = match self.known {
            Some(known) if known.is_mixed() => Some(Answer::Mixed),
            Some(Known { decision: Some(Decision::Abort(reason)), .. }) => {
                Some(Answer::Aborted(reason.clone()))
            }
            Some(Known { decision: Some(Decision::Commit), finished, .. }) => {
                (*finished || ack == AckWhen::Decided).then_some(Answer::Committed)
            }
            Some(Known { decision: None, .. }) | None => None,
        };
        match answer {
            Some(answer) => self.reply(request, answer),
            None if self.live.waiters.len() >= WAITERS_MAX => self.reply(request, Answer::Busy),
            None => self.live.waiters.push((request, ack)),
        }
    }

    fn voted(&mut self, run: RunId, branch: Index, vote: Vote) {
        let Some(voting) = self.voting(run) else { return };
        let Some((name, _, slot @ None)) = voting.branches.get_mut(usize::from(branch)) else {
            return;
        };
        *slot = Some(vote.clone());
        match vote {
            // It is durably refused, so it never joins ballot 0: only "aborted" can be chosen.
            Vote::No(refusal) => {
                let reason = Reason { branch: Some(name.clone()), refusal };
                self.decide(Decision::Abort(reason));
            }
            Vote::Lost(refusal) => {
                let reason = Reason { branch: Some(name.clone()), refusal };
                self.give_up(reason);
            }
            Vote::Yes(_) | Vote::ReadOnly => self.go_on(),
        }
    }

    /// After a yes, or the caller's word: decides, waits for the caller, or lets the next have
    /// their turn.
    fn go_on(&mut self) {
        let Some(voting) = &self.live.voting else { return };
        if voting.is_held() {
            let hold = voting.plan.as_ref().filter(|_| voting.hold && !voting.open);
            let hold = hold.map(|plan| (Timer::Votes(voting.run), plan.terms.timeout_ms));
            if let Some((timer, after_ms)) = hold {
                self.arm(timer, after_ms);
            }
            for (request, _) in core::mem::take(&mut self.live.waiters) {
                self.reply(request, Answer::Held);
            }
        } else if voting.is_unanimous() && !voting.open {
            self.all_voted_yes();
        } else {
            self.take_turns();
        }
    }

    fn all_voted_yes(&mut self) {
        let pact = self.live.voting.as_ref().and_then(|voting| voting.pact.clone());
        match pact {
            Some(pact) if pact.way == Way::Paxos => return self.accept_votes(&pact),
            Some(pact) => return self.precommit(pact),
            None => {}
        }
        let delegate = self.live.voting.as_ref().is_some_and(|voting| {
            voting.one_phase && matches!(voting.branches[0].2, Some(Vote::Yes(_)))
        });
        if delegate {
            self.delegate();
        } else {
            self.decide(Decision::Commit);
        }
    }

    fn votes_timed_out(&mut self, run: RunId) {
        let Live { voting, telling, .. } = &*self.live;
        let Some(voting) = voting.as_ref().filter(|voting| voting.run == run) else { return };
        if voting.is_paxos() && voting.is_unanimous() {
            // The acceptors have it; their timer runs.
            return;
        }
        // Steps have a patience of their own.
        let prepares = |at: &Index| voting.kind(*at) == Kind::Prepare;
        let late: Vec<_> = voting.late(telling).filter(prepares).collect();
        let reason = match late.first() {
            None if voting.plan.is_some() && !voting.is_held() => return,
            Some(first) => Reason::own(
                Some(voting.branches[usize::from(*first)].0.clone()),
                "vote_timeout",
                format!("not all voted in time; {}", voting.waited_for(&late, telling)),
                Cause::Passing,
            ),
            None => Reason::own(
                None,
                "hold_timeout",
                String::from("held, and neither committed nor aborted in time"),
                Cause::Passing,
            ),
        };
        self.give_up(reason);
    }

    /// Aborts what is being voted on: at once, unless others may have committed it already.
    fn give_up(&mut self, reason: Reason) {
        if self.live.voting.as_ref().is_some_and(Voting::is_paxos) {
            self.lead_to_abort(reason);
        } else {
            self.decide(Decision::Abort(reason));
        }
    }

    fn commit_asked(&mut self, request: RequestId) {
        match &mut self.live.voting {
            Some(voting) if !voting.hold && !voting.open && !voting.was_open() => {
                self.reply(request, Answer::WrongState("it prepares, and is not held"));
            }
            Some(_) if self.live.waiters.len() >= WAITERS_MAX => {
                self.reply(request, Answer::Busy);
            }
            Some(voting) => {
                // The caller's word may come before the last vote: it then is no longer held.
                voting.hold = false;
                self.attend(request, AckWhen::Decided);
                self.seal();
            }
            None if self.known.is_some() => self.attend(request, AckWhen::Decided),
            None => self.reply(request, Answer::NoSuchTransaction),
        }
    }

    fn abort_asked(&mut self, request: RequestId, reason: String) {
        if self.live.voting.is_some() {
            let reason = Reason::own(None, "caller_abort", reason, Cause::Business);
            self.give_up(reason.clone());
            return match self.live.voting {
                Some(_) => self.attend(request, AckWhen::Decided),
                None => self.reply(request, Answer::Aborted(reason)),
            };
        }
        match self.known {
            None => self.reply(request, Answer::NoSuchTransaction),
            Some(Known { decision: None, .. }) => {
                self.reply(request, Answer::WrongState("deciding"));
            }
            Some(_) => self.attend(request, AckWhen::Decided),
        }
    }

    /// Presumed abort: what is neither decided nor being voted on can never commit. An answer
    /// "abort" while votes are awaited would be a lie that a later yes could expose.
    ///
    /// That holds with a pact, too. Paxos records `Begun` before any branch can ask, so a run that
    /// is not known here never was. Three-phase records `PreCommitted` before any member can be
    /// precommitted; of a run that is not known here all members are uncertain, and if they
    /// terminate, they abort.
    fn inquired(&mut self, request: RequestId, run: RunId) {
        let voting = self.live.voting.as_ref().is_some_and(|voting| voting.run == run);
        let answer = match self.known.filter(|known| known.run == run) {
            Some(Known { decision: Some(Decision::Commit), .. }) => Answer::InquiryCommit,
            Some(Known { decision: Some(Decision::Abort(_)), .. }) => Answer::InquiryAbort,
            Some(Known { decision: None, .. }) => Answer::InquiryPending,
            None if voting => Answer::InquiryPending,
            None => Answer::InquiryAbort,
        };
        self.reply(request, answer);
    }
}

/// The decision.
impl Step<'_> {
    /// Records the decision on the run that is voted on or begun, and tells everyone.
    fn decide(&mut self, decision: Decision) {
        let record = self.decided(decision);
        self.out.force(record.clone());
        self.announce_record(&record);
    }

    fn decided(&mut self, decision: Decision) -> Record {
        self.live.lead = None;
        let voting = self.live.voting.take();
        let case = voting.and_then(|voting| voting.case_of(&decision, &self.live.telling));
        Record::Decided { decision, case }
    }

    fn announce_record(&mut self, record: &Record) {
        let mut after = Saved { known: self.known.cloned() };
        after.apply(record);
        let decided = after.known.expect("only a run that is voted on or begun is decided");
        self.end_steps(&decided);
        self.announce(&decided);
    }

    /// Leaves the decision to the only branch. The record comes first: after a crash the branch is
    /// asked, not run again.
    fn delegate(&mut self) {
        let voting = self.live.voting.take().expect("only a run that is voted on is delegated");
        let case = voting.case(&self.live.telling);
        self.out.force(Record::Delegated(case.clone()));
        let delegated = Known::new(&case, None);
        Step { known: Some(&delegated), live: self.live, out: self.out }.tell_all();
    }

    /// Answers those who waited for the decision, tells the branches, and finishes at once if there
    /// is nobody to tell. `decided` is the state as it will be when the decision is applied.
    fn announce(&mut self, decided: &Known) {
        let waiters = core::mem::take(&mut self.live.waiters);
        let mut after = Step { known: Some(decided), live: self.live, out: self.out };
        for (request, ack) in waiters {
            after.attend(request, ack);
        }
        after.tell_all();
        after.finish_if_all_told(decided);
    }

    fn voting(&mut self, run: RunId) -> Option<&mut Voting> {
        self.live.voting.as_mut().filter(|voting| voting.run == run)
    }

    fn reply(&mut self, request: RequestId, answer: Answer) {
        self.out.effect(Effect::Reply { request, answer });
    }

    fn arm(&mut self, timer: Timer, after_ms: u64) {
        self.out.effect(Effect::Arm { timer, after_ms });
    }
}

fn index(branch: usize) -> Index {
    Index::try_from(branch).expect("at most BRANCHES_MAX branches, checked by the caller")
}

fn indices(known: &Known) -> impl Iterator<Item = Index> + use<> {
    (0..known.branches.len()).map(index)
}
