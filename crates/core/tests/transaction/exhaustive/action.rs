//! What can happen in a world next.

use handfast_core::transaction::Fate;

use super::{
    mutant::Mutant,
    participant::{Branch, Call, Cast, State},
    world::{RUNS_MAX, World, run_id},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Begin,
    CommitAsked,
    AbortAsked,
    Arrive(usize, usize, Call),
    Voted(usize, usize, Cast),
    /// The driver heard nothing in time, or its connection broke.
    VoteLost(usize, usize),
    Finished(usize, usize),
    Heuristic(usize, usize),
    /// The driver heard nothing in time; the call may come late, or may be lost.
    AckUnknown {
        run: usize,
        branch: usize,
        lost: bool,
    },
    AckBroken(usize, usize),
    VotesTimeout(usize),
    Retry(usize, usize),
    /// A prepared branch asks what was decided; another time the answer arrives, and is obeyed.
    Inquire(usize),
    ObeyCommit(usize, usize),
    ObeyAbort(usize, usize),
    /// The recovery scan finds a branch of a run that is neither voted on nor known.
    RollBackOrphan(usize, usize),
    /// The session of a held branch is gone.
    SessionDies(usize, usize),
    Meddle(usize, usize, bool),
    /// An operator looked at the participant and says what he saw.
    Resolve(usize, usize, bool),
    /// A timer takes along what waits for a sync.
    Flush,
    /// What is in flight may go with the node.
    Crash {
        lost: bool,
    },
}

impl World {
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.callers(&mut actions);
        for (r, b, branch) in self.branches() {
            self.messages(r, b, branch, &mut actions);
            self.troubles(r, b, branch, &mut actions);
        }
        for r in 0..self.begun {
            if self.runs[r].votes_armed {
                actions.push(Action::VotesTimeout(r));
            }
            if self.runs[r].branches.iter().any(|branch| branch.state == State::Prepared) {
                actions.push(Action::Inquire(r));
            }
        }
        if self.synced < self.records.len() {
            actions.push(Action::Flush);
        }
        if self.crashes < self.rules.crashes {
            actions.extend([Action::Crash { lost: false }, Action::Crash { lost: true }]);
        }
        actions
    }

    fn callers(&self, actions: &mut Vec<Action>) {
        if self.begun < self.rules.begins {
            actions.push(Action::Begin);
        }
        // Each who waits is remembered: more than a few teach nothing.
        if self.begun > 0 && self.live.waiters.len() < RUNS_MAX {
            actions.push(Action::AbortAsked);
            if self.rules.hold {
                actions.push(Action::CommitAsked);
            }
        }
    }

    fn messages(&self, r: usize, b: usize, branch: Branch, actions: &mut Vec<Action>) {
        let mail = branch.mail;
        if mail.prepare && branch.state == State::Fresh {
            let calls = self.rules.casts.iter().map(|cast| Call::Prepare(*cast));
            actions.extend(calls.map(|call| Action::Arrive(r, b, call)));
        } else if mail.prepare {
            actions.push(Action::Arrive(r, b, Call::Prepare(Cast::Yes)));
        }
        let run = self.runs[r];
        let waiting = branch.is_waiting();
        actions.extend(
            [
                (mail.commit, Action::Arrive(r, b, Call::Commit)),
                (mail.abort, Action::Arrive(r, b, Call::Abort)),
                (mail.yes, Action::Voted(r, b, Cast::Yes)),
                (mail.no, Action::Voted(r, b, Cast::No)),
                (mail.read_only, Action::Voted(r, b, Cast::ReadOnly)),
                (mail.finished, Action::Finished(r, b)),
                (mail.heuristic, Action::Heuristic(r, b)),
                (waiting && run.inquired_commit, Action::ObeyCommit(r, b)),
                (waiting && run.inquired_abort, Action::ObeyAbort(r, b)),
            ]
            .into_iter()
            .filter_map(|(sent, action)| sent.then_some(action)),
        );
    }

    fn troubles(&self, r: usize, b: usize, branch: Branch, actions: &mut Vec<Action>) {
        let voting = self.is_voting(r);
        let known = self.saved.known.as_ref().filter(|known| known.run == run_id(r));
        let told = self.live.telling.get(b).filter(|_| known.is_some());
        // One failed try teaches as much as many.
        let may_fail = told.is_some_and(|telling| telling.is_asked && telling.tries == 0);
        let is_orphan = match self.rules.mutant {
            Some(Mutant::OrphanJudgedTooEarly) => known.is_none(),
            _ => known.is_none() && !voting,
        };
        let prepared = branch.state == State::Prepared;
        let meddles = self.rules.meddling && !self.meddled && prepared;
        let needs = known.is_some_and(|known| {
            matches!(known.branches[b].fate, Fate::Heuristic(_) | Fate::Stuck(_)) && !known.finished
        });
        let seen = match branch.state {
            State::Committed | State::Meddled { committed: true } => Some(true),
            State::Aborted | State::Meddled { committed: false } => Some(false),
            _ => None,
        };
        actions.extend(
            [
                (voting, Action::VoteLost(r, b)),
                (may_fail, Action::AckUnknown { run: r, branch: b, lost: false }),
                (may_fail, Action::AckUnknown { run: r, branch: b, lost: true }),
                (may_fail && self.rules.breaking, Action::AckBroken(r, b)),
                (branch.retry_armed, Action::Retry(r, b)),
                (is_orphan && prepared, Action::RollBackOrphan(r, b)),
                (branch.state == State::Held, Action::SessionDies(r, b)),
                (meddles, Action::Meddle(r, b, true)),
                (meddles, Action::Meddle(r, b, false)),
                (needs && seen == Some(true), Action::Resolve(r, b, true)),
                (needs && seen == Some(false), Action::Resolve(r, b, false)),
            ]
            .into_iter()
            .filter_map(|(may, action)| may.then_some(action)),
        );
    }
}
