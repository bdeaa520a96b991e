//! What a transaction waits for, as far as only this process knows it: its timers and lanes.

use handfast_client::wire::{self, BranchKind, BranchState};
use handfast_core::{
    plan::Kind,
    transaction::{Index, Known, Live, Saved, Timer},
    work::Work,
};

use crate::node::{Inner, lanes};

impl Inner {
    /// Adds when something happens next, and for whom a delivery waits.
    pub(in crate::node) fn add_waits(
        &self,
        view: &mut wire::Transaction,
        saved: &Saved,
        live: &Live,
    ) {
        use BranchState::{InDoubt, Stuck, Working};
        let known = saved.known.as_ref();
        let run = known.map(|known| known.run).or(live.voting.as_ref().map(|voting| voting.run));
        let Some(run) = run else { return };
        for (at, branch) in (0..).zip(&mut view.branches) {
            if !matches!(branch.state, InDoubt | Working | Stuck) {
                continue;
            }
            let telling = live.telling.get(usize::from(at));
            // The timer of the try before may still run.
            if !telling.is_some_and(|telling| telling.is_asked) {
                branch.next_attempt_at_ms = self.runs.due_ms(run, Timer::Retry(run, at));
            }
            // Once it is aborted, that is answered or given up before it is undone.
            let is_doing = live.voting.is_none() && telling.is_some_and(|telling| telling.is_doing);
            branch.waits_for = match branch.kind {
                BranchKind::Step if is_doing => Some("its do, which is under way".into()),
                BranchKind::Prepare if is_doing => Some("its try, which is under way".into()),
                _ => known.and_then(|known| self.waits_in_lane(&view.gid, known, at)),
            };
        }
        let deadline = self.runs.due_ms(run, Timer::Deadline(run));
        match &mut view.asking {
            Some(asking) => asking.next_attempt_at_ms = deadline,
            None if live.voting.is_some() => {
                let votes = self.runs.due_ms(run, Timer::Votes(run));
                view.deadline_at_ms = votes.into_iter().chain(deadline).min();
            }
            None => {}
        }
    }

    /// For whom an ordered delivery waits, if it does.
    fn waits_in_lane(&self, gid: &str, known: &Known, at: Index) -> Option<String> {
        let branch = known.branches.get(usize::from(at))?;
        let planned = known.plan.as_ref()?.branches.get(usize::from(at))?;
        let Work::Calls(calls) = &planned.work else { return None };
        let key = lanes::key(calls).filter(|_| planned.part.kind == Kind::Deliver)?;
        let lanes = &self.resources.get(&branch.resource)?.lanes;
        let first = lanes.first_before(gid, (known.run, at), key)?;
        Some(format!("{first} (order key {key:?})"))
    }
}
