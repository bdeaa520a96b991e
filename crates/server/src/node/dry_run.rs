//! What would follow from a word to a transaction.

use std::collections::VecDeque;

use handfast_client::wire;
use handfast_core::{
    id::RequestId,
    machine::{Machine, Output},
    transaction::{AckWhen, Effect, Input, Known, Transaction},
    vote::Vote,
    work::Work,
};

use super::{Command, Node, Rejected, commands::input, filling::Filling, requests, view};

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
        let mut dry_run = wire::DryRun::default();
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
                dry_run.records.push(record.to_string());
            }
            for effect in effects.into_iter().filter(is_outside) {
                let (line, input) = match not_called(saved.known.as_ref(), &effect) {
                    Some((line, input)) => (line, Some(input)),
                    None => (effect.to_string(), None),
                };
                dry_run.effects.push(line);
                inputs.extend(input);
            }
        }
        Ok(dry_run)
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

/// Timers, answers and what the node keeps in mind are nobody's business.
fn is_outside(effect: &Effect) -> bool {
    !matches!(
        effect,
        Effect::Reply { .. }
            | Effect::Arm { .. }
            | Effect::ArmAt { .. }
            | Effect::Recall { .. }
            | Effect::Close { .. }
    )
}

/// If it names what is not there: that in words, and what the machine would be told of it.
fn not_called(known: Option<&Known>, effect: &Effect) -> Option<(String, Input)> {
    let line = |verb: &str, run, branch, resource, why: &str| {
        format!("{verb} {run} #{branch} at {resource} is not called: {why}")
    };
    match effect {
        Effect::Call { run, branch, resource, verb, given, .. } => {
            let missing = Filling::of(known, given.clone()).call(*verb, *branch).err()?;
            let line = line(verb.name(), run, branch, resource, &missing.message);
            let reply = requests::unfilled(*verb, missing);
            Some((line, requests::heard(*verb, *run, *branch, reply, 0)))
        }
        Effect::Prepare { run, branch, resource, work: Work::Sql(sql), given, .. } => {
            let missing = Filling::of(known, given.clone()?).sql(sql.clone()).err()?;
            let line = line("prepare", run, branch, resource, &missing.message);
            let vote = Vote::No(missing);
            Some((line, Input::Voted { run: *run, branch: *branch, vote, tried: None }))
        }
        _ => None,
    }
}
