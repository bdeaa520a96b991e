//! What must hold in every state, each with where it is from.
//!
//! Gray and Lamport 2006, "Consensus on transaction commit"; Bernstein, Hadzilacos, Goodman 1987,
//! chapter 7 (AC1 to AC5); Mohan, Lindsay, Obermarck 1986, "R*". Those without a source are ours.

use handfast_core::{
    machine::Machine,
    transaction::{Decision, Input, Known, KnownBranch, Record, Saved, Timer, Transaction},
    vote::{Ack, Proof, Vote},
};

use super::{
    action::Action,
    participant::State,
    world::{Life, World, index, number, replay, run_id},
};

/// Takes a state, and what a crash at this moment would leave of the log.
type Invariant = fn(&World, &Saved) -> bool;

pub const AGREEMENT: &str = "no two branches of a run end differently";
pub const UNANIMITY: &str = "commit only if all voted yes";
pub const HELD: &str = "what is held commits only when asked";
pub const WRITE_AHEAD: &str = "a branch commits only by a durable record";
pub const TOLD_IS_DURABLE: &str = "what callers were told is durable";
pub const ONE_OUTCOME: &str = "a gid has one outcome";
pub const TOLD_IS_SO: &str = "what callers were told is so at the participants";
pub const INQUIRY: &str = "no commit after an inquiry was answered abort";
pub const ONE_RUN_COMMITS: &str = "at most one run of a gid commits";
pub const DECIDED_ONCE: &str = "a gid is decided once";
pub const FINISHED: &str = "finished only when every branch is";
pub const REPLAY_IS_SAVED: &str = "replay is what is saved";
pub const CLOSED_ONCE: &str = "every run is closed once";
pub const LATE_INPUT: &str = "late input changes nothing";
/// The one that is about the future.
pub const SETTLES: &str = "once nothing goes wrong any more, all ends";

pub const ALL: [(&str, Invariant); 14] = [
    (AGREEMENT, agreement),
    (UNANIMITY, unanimity),
    (HELD, held),
    (WRITE_AHEAD, write_ahead),
    (TOLD_IS_DURABLE, told_is_durable),
    (ONE_OUTCOME, one_outcome),
    (TOLD_IS_SO, told_is_so),
    (INQUIRY, inquiry),
    (ONE_RUN_COMMITS, one_run_commits),
    (DECIDED_ONCE, decided_once),
    (FINISHED, finished),
    (REPLAY_IS_SAVED, replay_is_saved),
    (CLOSED_ONCE, closed_once),
    (LATE_INPUT, late_input),
];

/// Gray and Lamport: TCConsistent; AC1. Whatever is done by hand is not counted here: it is mixed,
/// and `finished` checks that it is found.
fn agreement(world: &World, _: &Saved) -> bool {
    (0..world.begun).all(|r| {
        let ended = |state| world.branches().any(|(run, _, one)| run == r && one.state == state);
        !(ended(State::Committed) && ended(State::Aborted))
    })
}

/// AC2. A held branch may die after its yes; then its run must not commit, see `finished`.
fn unanimity(world: &World, _: &Saved) -> bool {
    let Some(known) = commits(&world.saved) else { return true };
    branches(world, known).all(|(_, state)| !matches!(state, State::Fresh | State::Aborted))
}

/// A caller who looks before it commits has the last word.
fn held(world: &World, _: &Saved) -> bool {
    let is_asked = |known: &Known| world.runs[number(known.run)].asked;
    !world.rules.hold || commits(&world.saved).is_none_or(is_asked)
}

/// R*, 2: the commit record is forced before anyone is told.
fn write_ahead(world: &World, durable: &Saved) -> bool {
    let may_commit = |r: usize| {
        let known = durable.known.as_ref().filter(|known| known.run == run_id(r));
        known.is_some_and(|known| matches!(known.decision, Some(Decision::Commit) | None))
    };
    world.branches().all(|(r, _, branch)| branch.state != State::Committed || may_commit(r))
}

fn told_is_durable(world: &World, durable: &Saved) -> bool {
    let known = durable.known.as_ref();
    let is_mixed = known.is_some_and(Known::is_mixed);
    let decision = known.and_then(|known| known.decision.as_ref());
    (!world.told.committed || decision == Some(&Decision::Commit))
        && (!world.told.aborted || matches!(decision, Some(Decision::Abort(_))))
        && (!world.told.mixed || is_mixed)
}

/// AC4, as callers see it: not even one who asks again after a crash is told otherwise.
fn one_outcome(world: &World, _: &Saved) -> bool {
    !(world.told.committed && world.told.aborted)
}

fn told_is_so(world: &World, durable: &Saved) -> bool {
    let is_committed = |state| {
        matches!(state, State::Committed | State::ReadOnly | State::Meddled { committed: true })
    };
    let applied = durable
        .known
        .as_ref()
        .is_some_and(|known| branches(world, known).all(|(_, state)| is_committed(state)));
    let none = world.branches().all(|(.., branch)| branch.state != State::Committed);
    (!world.told.applied || applied) && (!world.told.aborted || none)
}

/// The one race of presumed abort: a participant that was answered "abort" may act on it.
fn inquiry(world: &World, _: &Saved) -> bool {
    let commits = |r: usize| {
        let recorded = commits(&world.saved).is_some_and(|known| known.run == run_id(r));
        recorded || world.branches().any(|(run, _, b)| run == r && b.state == State::Committed)
    };
    (0..world.begun).all(|r| !world.runs[r].inquired_abort || !commits(r))
}

/// A request that is sent again never does its work twice.
fn one_run_commits(world: &World, _: &Saved) -> bool {
    let commits = |r: &usize| {
        world.branches().any(|(run, _, branch)| run == *r && branch.state == State::Committed)
    };
    (0..world.begun).filter(commits).count() <= 1
}

/// AC4: nothing in the log could make a replay decide otherwise.
fn decided_once(world: &World, _: &Saved) -> bool {
    let decides = |record: &&Record| matches!(record, Record::Decided { .. });
    world.records.iter().filter(decides).count() <= 1
}

/// R*, 2: the coordinator forgets only when every branch acknowledged. A branch that ended
/// otherwise than decided must have been found.
fn finished(world: &World, _: &Saved) -> bool {
    let Some(known) = world.saved.known.as_ref().filter(|known| known.finished) else {
        return true;
    };
    let committed = known.decision == Some(Decision::Commit);
    branches(world, known).filter(|(branch, _)| branch.vote.is_in_doubt()).all(|(_, state)| {
        match state {
            State::Fresh | State::Held | State::Prepared => false,
            State::ReadOnly => true,
            State::Committed | State::Meddled { committed: true } => committed || known.is_mixed(),
            State::Aborted | State::Meddled { committed: false } => !committed || known.is_mixed(),
        }
    })
}

/// Replaying the log is recovery, and there is no second way.
fn replay_is_saved(world: &World, durable: &Saved) -> bool {
    let all_synced = world.synced == world.records.len();
    replay(&world.records) == world.saved && (!all_synced || *durable == world.saved)
}

/// Every run that began or was brought back in this life of the node is let go once, when nothing
/// more will be asked for it.
fn closed_once(world: &World, _: &Saved) -> bool {
    (0..world.begun).all(|r| {
        let known = world.saved.known.as_ref();
        let is_open = known.is_some_and(|known| known.run == run_id(r) && !known.finished);
        match world.runs[r].life {
            Life::Open => is_open || world.is_voting(r),
            Life::None | Life::Closed => !is_open && !world.is_voting(r),
            Life::ClosedTwice => false,
        }
    })
}

/// The rules of driving: an input about what is over, or was lost in a crash, is legal, and nothing
/// follows from it.
fn late_input(world: &World, _: &Saved) -> bool {
    let mut after = world.clone();
    for (r, b, _) in world.branches() {
        let (run, branch) = (run_id(r), index(b));
        if !world.is_voting(r) {
            for vote in [Vote::Yes(Proof::default()), Vote::ReadOnly] {
                after.step(Input::Voted { run, branch, vote });
            }
            after.step(Input::Fired(Timer::Votes(run)));
        }
        if world.runs[r].life != Life::Open {
            for ack in [Ack::Finished, Ack::Broken(String::new())] {
                after.step(Input::Acked { run, branch, ack });
            }
            after.step(Input::Fired(Timer::Retry(run, branch)));
        }
    }
    after == *world
}

/// The transaction, if its decision is commit.
fn commits(saved: &Saved) -> Option<&Known> {
    saved.known.as_ref().filter(|known| known.decision == Some(Decision::Commit))
}

/// The branches of the run that the log knows, and how they are at their participants.
fn branches<'a>(
    world: &'a World,
    known: &'a Known,
) -> impl Iterator<Item = (&'a KnownBranch, State)> {
    let run = &world.runs[number(known.run)];
    known.branches.iter().zip(run.branches.iter().map(|branch| branch.state))
}

/// AC5: once faults end, every branch ends and every caller is answered, whatever schedule led
/// here. The caller of this walks on with [`helped`] until nothing changes.
pub fn is_settled(world: &World) -> bool {
    let none_waits = world.branches().all(|(.., branch)| !branch.is_waiting());
    let none_open = world.runs.iter().all(|run| run.life != Life::Open);
    none_waits && none_open && !Transaction::is_open(&world.saved) && world.live.waiters.is_empty()
}

/// The world when everything has happened that is no fault and no choice. If nothing has, the votes
/// that are missing will not come.
pub fn helped(before: &World) -> World {
    let mut world = before.clone();
    for action in before.actions() {
        if helps(&world, action) {
            world.act(action);
        }
    }
    let armed = (0..world.begun).find(|r| world.runs[*r].votes_armed);
    if let Some(r) = armed.filter(|_| world == *before) {
        world.act(Action::VotesTimeout(r));
    }
    world
}

/// Whether an action is no fault and no choice.
fn helps(world: &World, action: Action) -> bool {
    match action {
        Action::Arrive(..)
        | Action::Voted(..)
        | Action::Finished(..)
        | Action::Heuristic(..)
        | Action::Retry(..)
        | Action::RollBackOrphan(..)
        | Action::Resolve(..)
        | Action::Flush => true,
        // The database sees at last that the other side is gone.
        Action::SessionDies(r, _) => !world.is_voting(r) && !world.is_known(r),
        Action::Begin
        | Action::CommitAsked
        | Action::AbortAsked
        | Action::VoteLost(..)
        | Action::AckUnknown { .. }
        | Action::AckBroken(..)
        | Action::VotesTimeout(_)
        | Action::Inquire(_)
        | Action::ObeyCommit(..)
        | Action::ObeyAbort(..)
        | Action::Meddle(..)
        | Action::Crash { .. } => false,
    }
}
