//! What would follow from a word to a transaction, in words.

mod leaving;

use std::collections::VecDeque;

use handfast_client::wire;
use handfast_core::{
    id::RequestId,
    machine::{Machine, Output},
    transaction::{AckWhen, Effect, Index, Live, Record, Saved, Transaction},
};

use self::leaving::Leaving;
use super::{Command, Inner, Node, Rejected, commands::input, view};

/// No caller has it.
const NOBODY: RequestId = RequestId(0);
/// Most turns: what is not called ends its branch, so there are fewer than this.
const TURNS_MAX: usize = 1_000;
/// Part of it would have happened, and part of it not.
const MIXED: &str = "It would be MIXED: part of it happened. This cannot be taken back.";

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
        let before = self.inner.view(gid, &saved, &live).map(|view| view.state);
        let mut said = Said::default();
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
                let leaving = Leaving::of(saved.known.as_ref(), effect);
                let Some(Leaving { branch, line, instead }) = leaving else { continue };
                said.now.extend(branch);
                said.effects.push(line);
                inputs.extend(instead);
            }
        }
        Ok(said.in_words(&self.inner, gid, before, (&saved, &live)))
    }
}

/// What the machine said.
#[derive(Default)]
struct Said {
    records: Vec<Record>,
    effects: Vec<String>,
    /// Whom the effects are about.
    now: Vec<Index>,
}

impl Said {
    /// `after` is the transaction as it would be.
    fn in_words(
        self,
        inner: &Inner,
        gid: &str,
        before: Option<wire::State>,
        (saved, live): (&Saved, &Live),
    ) -> wire::DryRun {
        let Self { records, effects, now } = self;
        let Some(mut after) = inner.view(gid, saved, live) else { return wire::DryRun::default() };
        if let Some(plan) = saved.known.as_ref().and_then(|known| known.plan.as_ref()) {
            view::add_calls(&mut after, plan);
        }
        let is_mixed = after.state == wire::State::Mixed && before != Some(wire::State::Mixed);
        wire::DryRun {
            warning: is_mixed.then(|| MIXED.into()),
            records: records.into_iter().map(|record| view::foretold(&after, record)).collect(),
            effects,
            later: view::later(&after, &now),
        }
    }
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
