//! Paxos commit, as in the paper: one instance of Paxos for each resource manager.

use super::{RMS_MAX, Rm, Rms, consistent};
use crate::explore::{Model, Violation};

/// Most managers, and most acceptors, that this model can have.
const SIZE: usize = 3;
/// Ballots 0, which is the manager's own, and 1, which is a leader's.
const BALLOTS: usize = 2;

/// Paxos commit with ballots 0 and 1 (the paper's PaxosCommit).
#[derive(Clone, Copy, Debug)]
pub struct PaxosCommit {
    /// How many resource managers there are, at most 3.
    pub rms: usize,
    /// How many acceptors there are, 1 or 3.
    pub acceptors: usize,
}

/// Everything about the transaction. What was said is kept: it can be read at any time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The resource managers: the view of `TCommit`.
    pub rms: Rms,
    instances: [Instance; SIZE],
    commit_sent: bool,
    abort_sent: bool,
}

/// One manager's instance of Paxos.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Instance {
    /// Phase 1a was sent for ballot 1.
    claimed: bool,
    /// By ballot: what phase 2a proposed.
    proposed: [Option<Value>; BALLOTS],
    acceptors: [Acceptor; SIZE],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Acceptor {
    /// The highest ballot that it has taken part in (the paper's mbal).
    ballot: u8,
    /// What it accepted last, and in which ballot (bal and val).
    accepted: Option<(u8, Value)>,
    /// What it said in phase 1b of ballot 1.
    promised: Option<Option<(u8, Value)>>,
    /// By ballot: what it said in phase 2b.
    said: [Option<Value>; BALLOTS],
}

/// What an instance chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Value {
    Prepared,
    Aborted,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A manager prepares: it proposes so in ballot 0.
    RmPrepare(usize),
    /// A manager aborts by its own choice: it proposes so in ballot 0.
    RmChooseToAbort(usize),
    /// A manager reads that it is committed.
    RmRcvCommitMsg(usize),
    /// A manager reads that it is aborted.
    RmRcvAbortMsg(usize),
    /// A leader claims ballot 1 of a manager's instance.
    Phase1a(usize),
    /// An acceptor (the second number) takes part in ballot 1, and says what it accepted before.
    Phase1b(usize, usize),
    /// The leader proposes in ballot 1, having heard these acceptors, by bit.
    Phase2a(usize, u8),
    /// An acceptor (the second number) accepts what was proposed in a ballot (the third).
    Phase2b(usize, usize, usize),
    /// All instances have chosen prepared.
    Commit,
    /// One instance has chosen aborted.
    Abort,
}

impl PaxosCommit {
    /// The smallest majorities, by bit. A larger one hears nothing that none of these hears.
    fn majorities(&self) -> &'static [u8] {
        if self.acceptors == 1 { &[0b1] } else { &[0b011, 0b101, 0b110] }
    }

    fn has_chosen(&self, instance: &Instance, value: Value) -> bool {
        let said = |ballot: usize| {
            let all = instance.acceptors.iter().enumerate();
            let these = all.filter(|(_, acceptor)| acceptor.said[ballot] == Some(value));
            these.fold(0u8, |bits, (a, _)| bits | 1 << a)
        };
        (0..BALLOTS).any(|ballot| {
            let said = said(ballot);
            self.majorities().iter().any(|majority| said & majority == *majority)
        })
    }

    fn instance_actions(&self, r: usize, instance: &Instance, actions: &mut Vec<Action>) {
        actions.push(Action::Phase1a(r));
        let acceptors = &instance.acceptors[..self.acceptors];
        if instance.proposed[1].is_none() {
            let heard = acceptors.iter().enumerate();
            let heard = heard.filter(|(_, acceptor)| acceptor.promised.is_some());
            let heard = heard.fold(0u8, |bits, (a, _)| bits | 1 << a);
            let majorities = self.majorities().iter().filter(|m| heard & **m == **m);
            actions.extend(majorities.map(|majority| Action::Phase2a(r, *majority)));
        }
        for (a, acceptor) in acceptors.iter().enumerate() {
            if instance.claimed && acceptor.ballot < 1 {
                actions.push(Action::Phase1b(r, a));
            }
            for (ballot, proposed) in instance.proposed.iter().enumerate() {
                if proposed.is_some() && usize::from(acceptor.ballot) <= ballot {
                    actions.push(Action::Phase2b(r, a, ballot));
                }
            }
        }
    }
}

impl Instance {
    /// What may be proposed in ballot 1, these acceptors having been heard: what was accepted in
    /// the highest ballot, or else aborted.
    fn safe_value(&self, majority: u8) -> Value {
        let heard = self.acceptors.iter().enumerate().filter(|(a, _)| majority & 1 << a != 0);
        let accepted = heard.filter_map(|(_, acceptor)| acceptor.promised.flatten());
        accepted.max_by_key(|(ballot, _)| *ballot).map_or(Value::Aborted, |(_, value)| value)
    }

    fn accept(&mut self, a: usize, ballot: usize) {
        let value = self.proposed[ballot].expect("only what was proposed is accepted");
        let acceptor = &mut self.acceptors[a];
        acceptor.ballot = ballot as u8;
        acceptor.accepted = Some((acceptor.ballot, value));
        acceptor.said[ballot] = Some(value);
    }
}

impl Model for PaxosCommit {
    type State = State;
    type Action = Action;

    fn init(&self) -> Vec<State> {
        assert!(self.rms <= SIZE.min(RMS_MAX) && [1, 3].contains(&self.acceptors));
        vec![State::default()]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let instances = &state.instances[..self.rms];
        let mut actions = Vec::new();
        for (r, instance) in instances.iter().enumerate() {
            if state.rms[r] == Rm::Working {
                actions.extend([Action::RmPrepare(r), Action::RmChooseToAbort(r)]);
            }
            if state.commit_sent {
                actions.push(Action::RmRcvCommitMsg(r));
            }
            if state.abort_sent {
                actions.push(Action::RmRcvAbortMsg(r));
            }
            self.instance_actions(r, instance, &mut actions);
        }
        if instances.iter().all(|instance| self.has_chosen(instance, Value::Prepared)) {
            actions.push(Action::Commit);
        }
        if instances.iter().any(|instance| self.has_chosen(instance, Value::Aborted)) {
            actions.push(Action::Abort);
        }
        actions
    }

    fn next(&self, state: &State, action: &Action) -> State {
        let mut state = *state;
        match *action {
            Action::RmPrepare(r) => {
                state.rms[r] = Rm::Prepared;
                state.instances[r].proposed[0] = Some(Value::Prepared);
            }
            Action::RmChooseToAbort(r) => {
                state.rms[r] = Rm::Aborted;
                state.instances[r].proposed[0] = Some(Value::Aborted);
            }
            Action::RmRcvCommitMsg(r) => state.rms[r] = Rm::Committed,
            Action::RmRcvAbortMsg(r) => state.rms[r] = Rm::Aborted,
            Action::Phase1a(r) => state.instances[r].claimed = true,
            Action::Phase1b(r, a) => {
                let acceptor = &mut state.instances[r].acceptors[a];
                acceptor.ballot = 1;
                acceptor.promised = Some(acceptor.accepted);
            }
            Action::Phase2a(r, majority) => {
                let value = state.instances[r].safe_value(majority);
                state.instances[r].proposed[1] = Some(value);
            }
            Action::Phase2b(r, a, ballot) => state.instances[r].accept(a, ballot),
            Action::Commit => state.commit_sent = true,
            Action::Abort => state.abort_sent = true,
        }
        state
    }

    fn check(&self, _: &State, _: &Action, after: &State) -> Result<(), Violation> {
        if after.commit_sent && after.abort_sent {
            return Err(Violation::new("one decision", "both commit and abort were sent"));
        }
        consistent(&after.rms)
    }
}
