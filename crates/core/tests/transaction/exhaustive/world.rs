//! The world of one gid: the coordinator's machine and log, its participants, its callers, and what
//! follows from what happens.

use handfast_core::{
    id::{RequestId, RunId},
    machine::{Machine, Output},
    transaction::{
        AckWhen, Answer, Begin, BranchSpec, Decision, Effect, Index, Input, Live, Reason, Record,
        Saved, Timer, Transaction,
    },
    vote::{Ack, Cause, Proof, Refusal, Vote},
    work::Work,
};

use super::{
    action::Action,
    mutant::Mutant,
    participant::{Branch, Call, Cast, Mail, State},
};

pub const RUNS_MAX: usize = 3;
pub const BRANCHES_MAX: usize = 2;
/// Callers of `Begin` are numbered like their runs; these come after.
const OTHERS: u64 = 100;

/// How large the world is, and what may happen in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    pub branches: usize,
    pub one_phase: bool,
    pub hold: bool,
    pub ack: AckWhen,
    /// How often callers begin: the first time, doubled, again after a crash.
    pub begins: usize,
    pub crashes: u8,
    /// What branches may vote.
    pub casts: &'static [Cast],
    /// Whether someone finishes a prepared branch by hand, once.
    pub meddling: bool,
    /// Whether participants may answer what only an operator can mend.
    pub breaking: bool,
    pub mutant: Option<Mutant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub rules: Rules,
    pub saved: Saved,
    pub live: Live,
    /// The log, and how much of it is synced.
    pub records: Vec<Record>,
    pub synced: usize,
    pub crashes: u8,
    pub begun: usize,
    pub runs: [Run; RUNS_MAX],
    pub told: Told,
    pub meddled: bool,
}

/// One run of the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Run {
    pub branches: [Branch; BRANCHES_MAX],
    /// What inquiries about it were answered. Each answer may arrive now, later, twice or never.
    pub inquired_commit: bool,
    pub inquired_abort: bool,
    /// Whether its caller gave the word while it was held, or was about to be.
    pub asked: bool,
    pub votes_armed: bool,
    pub life: Life,
}

/// What the driver thinks of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Life {
    /// Not begun, or begun before a crash and then unknown.
    #[default]
    None,
    Open,
    Closed,
    ClosedTwice,
}

/// What callers were told about the gid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Told {
    pub committed: bool,
    /// Committed, and everywhere.
    pub applied: bool,
    pub aborted: bool,
    pub mixed: bool,
}

impl World {
    pub fn new(rules: Rules) -> Self {
        assert!(rules.begins <= RUNS_MAX && rules.branches <= BRANCHES_MAX);
        Self {
            rules,
            saved: Saved::default(),
            live: Live::default(),
            records: Vec::new(),
            synced: 0,
            crashes: 0,
            begun: 0,
            runs: [Run::default(); RUNS_MAX],
            told: Told::default(),
            meddled: false,
        }
    }

    pub fn branches(&self) -> impl Iterator<Item = (usize, usize, Branch)> {
        let count = self.rules.branches;
        let runs = self.runs.into_iter().take(self.begun).enumerate();
        runs.flat_map(move |(r, run)| (0..count).map(move |b| (r, b, run.branches[b])))
    }

    pub fn is_voting(&self, r: usize) -> bool {
        self.live.voting.as_ref().is_some_and(|voting| voting.run == run_id(r))
    }

    pub fn is_known(&self, r: usize) -> bool {
        self.saved.known.as_ref().is_some_and(|known| known.run == run_id(r))
    }

    /// What a crash at this moment would leave.
    pub fn durable(&self) -> Saved {
        replay(&self.records[..self.synced])
    }
}

/// What follows.
impl World {
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Begin => self.begin(),
            Action::CommitAsked => self.commit_asked(),
            Action::AbortAsked => {
                let (request, reason) = (RequestId(OTHERS), "changed my mind".into());
                self.step(Input::AbortAsked { request, reason });
            }
            Action::Arrive(r, b, call) => self.arrive(r, b, call),
            Action::Voted(r, b, cast) => self.voted(r, b, cast),
            Action::VoteLost(r, b) => self.vote_lost(r, b),
            Action::Finished(r, b) => self.acked(r, b, Ack::Finished),
            Action::Heuristic(r, b) => self.acked(r, b, Ack::Heuristic(String::new())),
            Action::AckUnknown { run, branch, lost } => {
                if lost {
                    self.runs[run].branches[branch].mail.lose_decision();
                }
                self.acked(run, branch, Ack::Unknown(String::new()));
            }
            Action::AckBroken(r, b) => self.acked(r, b, Ack::Broken(String::new())),
            Action::VotesTimeout(r) => {
                self.runs[r].votes_armed = false;
                self.step(Input::Fired(Timer::Votes(run_id(r))));
            }
            Action::Retry(r, b) => {
                self.runs[r].branches[b].retry_armed = false;
                self.step(Input::Fired(Timer::Retry(run_id(r), index(b))));
            }
            Action::Inquire(r) => {
                self.step(Input::Inquired { request: RequestId(OTHERS + r as u64), run: run_id(r) })
            }
            Action::ObeyCommit(r, b) => self.runs[r].branches[b].end(State::Committed),
            Action::ObeyAbort(r, b) | Action::RollBackOrphan(r, b) | Action::SessionDies(r, b) => {
                self.runs[r].branches[b].end(State::Aborted);
            }
            Action::Meddle(r, b, committed) => {
                self.meddled = true;
                self.runs[r].branches[b].end(State::Meddled { committed });
            }
            Action::Resolve(_, b, committed) => self.step(Input::Resolved {
                request: RequestId(OTHERS),
                branch: index(b),
                committed,
                reason: "looked".into(),
            }),
            Action::Flush => self.synced = self.records.len(),
            Action::Crash { lost } => self.crash(lost),
        }
        self.forget_late_answers();
    }

    /// Answers that nobody listens to any more, and timers of no use. That nothing would follow
    /// from them is checked once for all, by the last of the invariants.
    fn forget_late_answers(&mut self) {
        for r in 0..self.begun {
            let (voting, open) = (self.is_voting(r), self.runs[r].life == Life::Open);
            self.runs[r].asked &= voting || self.is_known(r);
            self.runs[r].votes_armed &= voting;
            for Branch { mail, retry_armed, .. } in &mut self.runs[r].branches {
                *retry_armed &= open;
                mail.yes &= voting;
                mail.no &= voting;
                mail.read_only &= voting;
                mail.finished &= open;
                mail.heuristic &= open;
            }
        }
    }

    fn begin(&mut self) {
        let r = self.begun;
        self.begun += 1;
        self.runs[r].life = Life::Open;
        if self.rules.mutant == Some(Mutant::TakenForNew) && self.live == Live::default() {
            self.saved = Saved::default();
        }
        let spec = |name: &&str| BranchSpec {
            name: (*name).into(),
            resource: "bank".into(),
            one_phase: self.rules.one_phase,
            work: Work::Keys(Vec::new()),
        };
        self.step(Input::Begin(Begin {
            request: RequestId(r as u64),
            run: run_id(r),
            fingerprint: String::new(),
            branches: ["A", "B"][..self.rules.branches].iter().map(spec).collect(),
            timeout_ms: 5000,
            ack: self.rules.ack,
            hold: self.rules.hold && self.rules.mutant != Some(Mutant::HoldIgnored),
            pact: None,
        }));
    }

    fn commit_asked(&mut self) {
        if let Some(voting) = &self.live.voting {
            self.runs[number(voting.run)].asked = true;
        }
        self.step(Input::CommitAsked { request: RequestId(OTHERS) });
    }

    fn arrive(&mut self, r: usize, b: usize, call: Call) {
        let branch = &mut self.runs[r].branches[b];
        match call {
            Call::Prepare(cast) => branch.prepare(cast, self.rules.one_phase && !self.rules.hold),
            Call::Commit => branch.commit(),
            Call::Abort => branch.abort(self.rules.mutant != Some(Mutant::NoFence)),
        }
    }

    fn voted(&mut self, r: usize, b: usize, cast: Cast) {
        let vote = match cast {
            Cast::Yes => Vote::Yes(Proof::default()),
            Cast::No => Vote::No(refusal()),
            Cast::ReadOnly => Vote::ReadOnly,
        };
        if self.rules.mutant == Some(Mutant::OneVoteForAll) {
            for other in (0..self.rules.branches).filter(|other| *other != b) {
                self.step(Input::Voted {
                    run: run_id(r),
                    branch: index(other),
                    vote: vote.clone(),
                });
            }
        }
        self.step(Input::Voted { run: run_id(r), branch: index(b), vote });
    }

    fn vote_lost(&mut self, r: usize, b: usize) {
        let vote = match self.rules.mutant {
            Some(Mutant::LostTakenAsNo) => Vote::No(refusal()),
            _ => Vote::Lost(refusal()),
        };
        self.step(Input::Voted { run: run_id(r), branch: index(b), vote });
    }

    fn acked(&mut self, r: usize, b: usize, ack: Ack) {
        let ack = match (self.rules.mutant, ack) {
            (Some(Mutant::GoneTakenAsFinished), Ack::Heuristic(_)) => Ack::Finished,
            (_, ack) => ack,
        };
        self.step(Input::Acked { run: run_id(r), branch: index(b), ack });
    }

    pub fn step(&mut self, mut input: Input) {
        if self.rules.mutant == Some(Mutant::AnyRun)
            && let (Input::Voted { run, .. }, Some(voting)) = (&mut input, &self.live.voting)
        {
            *run = voting.run;
        }
        let mut out = Output::new();
        Transaction::step(&self.saved, &mut self.live, input, &mut out);
        self.take(out);
    }

    /// As a partition does: records, sync, and only then effects.
    fn take(&mut self, out: Output<Transaction>) {
        let (mut records, mut effects, mut forced) = out.into_parts();
        if let Some(mutant) = self.rules.mutant {
            mutant.spoil(&mut records, &mut effects, &mut forced);
        }
        for mut record in records {
            // Why it is aborted steers nothing: worlds that differ in it alone are one.
            if let Record::Decided { decision: Decision::Abort(reason), .. } = &mut record {
                *reason = Reason { branch: None, refusal: refusal() };
            }
            Transaction::apply(&mut self.saved, &record);
            if self.rules.mutant != Some(Mutant::UnloggedEnd) || record != Record::Finished {
                self.records.push(record);
            }
        }
        if forced {
            self.synced = self.records.len();
        }
        for effect in effects {
            self.release(effect);
        }
    }

    fn release(&mut self, effect: Effect) {
        match effect {
            Effect::Prepare { run, branch, .. } => self.branch(run, branch).mail.prepare = true,
            Effect::Commit { run, branch, .. } => self.branch(run, branch).mail.commit = true,
            Effect::Abort { run, branch, .. } => self.branch(run, branch).mail.abort = true,
            Effect::Reply { request, answer } => self.hear(request, &answer),
            Effect::Close { run } => {
                let life = &mut self.runs[number(run)].life;
                *life = if *life == Life::Open { Life::Closed } else { Life::ClosedTwice };
            }
            Effect::Arm { timer: Timer::Votes(run), .. } => {
                self.runs[number(run)].votes_armed = true;
            }
            Effect::Arm { timer: Timer::Retry(run, branch), .. } => {
                self.branch(run, branch).retry_armed = true;
            }
            Effect::Alarm { .. } => {}
            Effect::Send { .. } | Effect::Arm { timer: Timer::Lead(_), .. } => {
                unreachable!("no run has a pact")
            }
        }
    }

    fn hear(&mut self, request: RequestId, answer: &Answer) {
        let applied = self.rules.ack == AckWhen::Applied && request.0 < OTHERS;
        match answer {
            Answer::Committed => {
                self.told.committed = true;
                self.told.applied |= applied;
            }
            Answer::Aborted(_) => self.told.aborted = true,
            Answer::Mixed => self.told.mixed = true,
            Answer::InquiryCommit => {
                self.runs[(request.0 - OTHERS) as usize].inquired_commit = true;
            }
            Answer::InquiryAbort => self.runs[(request.0 - OTHERS) as usize].inquired_abort = true,
            Answer::Held
            | Answer::InquiryPending
            | Answer::NoSuchTransaction
            | Answer::WrongState(_)
            | Answer::Taken => {}
            Answer::OtherContent | Answer::Busy => panic!("nobody gave reason for {answer:?}"),
        }
    }

    fn crash(&mut self, lost: bool) {
        self.crashes += 1;
        self.records.truncate(self.synced);
        self.saved = replay(&self.records);
        self.live = Live::default();
        for run in &mut self.runs {
            run.life = Life::None;
            run.votes_armed = false;
            for branch in &mut run.branches {
                branch.retry_armed = false;
                if lost {
                    branch.mail = Mail::default();
                }
            }
        }
        if let Some(known) = self.saved.known.as_ref().filter(|known| !known.finished) {
            self.runs[number(known.run)].life = Life::Open;
        }
        let mut out = Output::new();
        Transaction::restart(&self.saved, &mut self.live, &mut out);
        if self.rules.mutant != Some(Mutant::SilentRestart) {
            self.take(out);
        }
    }

    fn branch(&mut self, run: RunId, branch: Index) -> &mut Branch {
        &mut self.runs[number(run)].branches[usize::from(branch)]
    }
}

/// What a start makes of the records.
pub fn replay(records: &[Record]) -> Saved {
    let mut saved = Saved::default();
    for record in records {
        Transaction::apply(&mut saved, record);
    }
    saved
}

pub fn run_id(r: usize) -> RunId {
    RunId { epoch: 1, number: r as u64 }
}

pub fn number(run: RunId) -> usize {
    usize::try_from(run.number).unwrap()
}

pub fn index(branch: usize) -> Index {
    Index::try_from(branch).unwrap()
}

fn refusal() -> Refusal {
    Refusal { code: "refused".into(), message: String::new(), cause: Cause::Passing }
}
