//! What would follow from a word to a transaction, in words.

mod leaving;

use std::collections::VecDeque;

use handfast_client::wire;
use handfast_core::{
    id::RequestId,
    machine::{Machine, Output},
    plan::{Kind, Planned},
    transaction::{
        AckWhen, Decision, Effect, Fate, Index, Input, Known, Live, Record, Saved, Transaction,
    },
    work::Work,
};

use self::leaving::Leaving;
use super::{Command, Inner, Node, Rejected, commands::input, lanes, view};

/// No caller has it.
const NOBODY: RequestId = RequestId(0);
/// Most turns: what is not called ends its branch, so there are fewer than this.
const TURNS_MAX: usize = 1_000;

impl Node {
    /// What would follow from a word, if it were said now. Nothing happens.
    ///
    /// What services would answer nobody knows, so it ends with what leaves. But what cannot leave,
    /// for it names what is not there, is told, and what follows from that.
    ///
    /// # Errors
    /// The word would be refused.
    pub async fn dry_run(
        &self,
        gid: &str,
        command: Command,
        by: &str,
    ) -> Result<wire::DryRun, Rejected> {
        let branch = self.branch_of(gid, &command).await?;
        let (mut saved, mut live) = self.look(gid).await?.ok_or(Rejected::NoSuchTransaction)?;
        let before = saved.known.clone();
        let mut said = Said { warning: already(&command, before.as_ref()), ..Said::default() };
        let mut inputs = VecDeque::from([input(NOBODY, command.clone(), branch, by)]);
        for at in 0..TURNS_MAX {
            let Some(input) = inputs.pop_front() else { break };
            // On copies: what is promised is never written, and what is asked for never leaves.
            let mut out = Output::new();
            Transaction::step(&saved, &mut live, input, &mut out);
            let (records, effects, _) = out.into_parts();
            if at == 0 {
                is_taken(gid, &command, &effects)?;
            }
            for record in records {
                Transaction::apply(&mut saved, &record);
                said.records.push(record);
            }
            for effect in effects {
                let leaving = Leaving::of(&self.inner, saved.known.as_ref(), effect);
                inputs.extend(leaving.and_then(|leaving| said.leaves(leaving)));
            }
        }
        if let (Some(before), Some(after)) = (&before, &saved.known) {
            for leaving in set_free(&self.inner, gid, before, after) {
                said.leaves(leaving);
            }
            said.warning = said.warning.or_else(|| mixed(before, after));
        }
        Ok(said.in_words(&self.inner, gid, (&saved, &live)))
    }
}

/// What the machine said.
#[derive(Default)]
struct Said {
    warning: Option<String>,
    records: Vec<Record>,
    effects: Vec<String>,
    /// What leaves when a resource that is down answers again.
    waiting: Vec<String>,
    /// Whom the effects are about.
    now: Vec<Index>,
}

impl Said {
    /// Returns what the machine is told instead, if it cannot leave.
    fn leaves(&mut self, leaving: Leaving) -> Option<Input> {
        let Leaving { branch, line, instead, is_later } = leaving;
        self.now.extend(branch);
        let lines = if is_later { &mut self.waiting } else { &mut self.effects };
        lines.push(line);
        instead
    }

    /// `after` is the transaction as it would be.
    fn in_words(self, inner: &Inner, gid: &str, (saved, live): (&Saved, &Live)) -> wire::DryRun {
        let Self { warning, records, effects, mut waiting, now } = self;
        let Some(mut after) = inner.view(gid, saved, live) else { return wire::DryRun::default() };
        if let Some(plan) = saved.known.as_ref().and_then(|known| known.plan.as_ref()) {
            view::add_calls(&mut after, plan);
        }
        waiting.extend(view::later(&after, &now));
        wire::DryRun {
            warning,
            records: records.into_iter().map(|record| view::foretold(&after, record)).collect(),
            effects,
            later: waiting,
        }
    }
}

/// A word that decides nothing any more.
fn already(command: &Command, known: Option<&Known>) -> Option<String> {
    let word = match (command, known?.decision.as_ref()?) {
        (Command::Abort { .. }, Decision::Abort(_)) => "abort",
        (Command::Commit { .. }, Decision::Commit) => "commit",
        _ => return None,
    };
    Some(format!("It changes nothing: {word} was decided already."))
}

/// How a transaction would have ended against its decision.
fn mixed(before: &Known, after: &Known) -> Option<String> {
    if before.is_mixed() || !after.is_mixed() {
        return None;
    }
    let is_commit = after.decision == Some(Decision::Commit);
    let is_against = |fate: &Fate| match fate {
        Fate::Heuristic(_) => true,
        Fate::Resolved { committed, .. } => *committed != is_commit,
        Fate::Open | Fate::Applied | Fate::Stuck(_) => false,
    };
    let what = match (after.branches.iter().all(|branch| is_against(&branch.fate)), is_commit) {
        (true, true) => "commit was decided, and nothing of it happened",
        (true, false) => "abort was decided, and all of it happened",
        (false, _) => "part of it happened",
    };
    Some(format!("It would be MIXED: {what}. This cannot be taken back."))
}

/// Deliveries of others that wait behind those of this transaction, and would not any more.
fn set_free(inner: &Inner, gid: &str, before: &Known, after: &Known) -> Vec<Leaving> {
    let branches = before.plan.iter().flat_map(|plan| (0..).zip(&plan.branches));
    let line = |(at, planned): (Index, &Planned)| {
        let Work::Calls(calls) = &planned.work else { return None };
        let key = lanes::key(calls).filter(|_| planned.part.kind == Kind::Deliver)?;
        let branch = before.branches.get(usize::from(at))?;
        let resource = inner.resources.get(&branch.resource)?;
        let next = resource.lanes.second_after(gid, (before.run, at), key)?;
        let (name, place) = (&branch.name, &branch.resource);
        let line =
            format!("what waits behind {name} at {place}: that of {next} (order key {key:?})");
        let leaving = Leaving { branch: None, line, instead: None, is_later: false };
        let is_down = resource.down().is_some();
        (!lanes::waits(after, at, key)).then(|| leaving.unless(is_down, place))
    };
    branches.filter_map(line).collect()
}

fn is_taken(gid: &str, command: &Command, effects: &[Effect]) -> Result<(), Rejected> {
    for effect in effects {
        if let Effect::Reply { request: NOBODY, answer } = effect {
            let known = view::answered(gid, answer.clone(), AckWhen::Decided)?;
            command.missed(known.outcome)?;
        }
    }
    Ok(())
}
