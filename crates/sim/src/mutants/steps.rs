//! What a transaction with a plan may do wrong.

use std::sync::Arc;

use handfast_core::{
    id::RunId,
    plan::{Given, Kind, Plan, Verb},
    transaction::{Decision, Effect, Index, Known, Live, Record, Saved, Voted},
};

use super::Mutant;

pub(super) fn spoil(
    mutant: Mutant,
    (saved, live): (&Saved, &Live),
    records: &mut Vec<Record>,
    effects: &mut Vec<Effect>,
    forced: &mut bool,
) {
    let begins = records.iter().any(|record| matches!(record, Record::Begun { .. }));
    let known = saved.known.as_ref();
    let aborts = aborted(records);
    match mutant {
        Mutant::UndoSkipped => {
            let cases = records.iter_mut().filter_map(|record| match record {
                Record::Decided { case, .. } => case.as_mut(),
                _ => None,
            });
            cases.flat_map(|case| &mut case.branches).for_each(|branch| branch.vote = Voted::No);
            effects.retain(|effect| !matches!(effect, Effect::Call { verb: Verb::Undo, .. }));
        }
        Mutant::UndoBeforeSettled => {
            let Some(known) = known.filter(|_| aborts) else { return };
            let is_doing =
                |at: Index| live.telling.get(usize::from(at)).is_some_and(|it| it.is_doing);
            let undone = each(known, Kind::Step, Verb::Undo).filter(|(at, _)| is_doing(*at));
            effects.extend(undone.map(|(_, effect)| effect));
        }
        Mutant::UndoUnordered => {
            let Some(known) = known.filter(|_| aborts) else { return };
            let is_told = |at: Index| is_called(effects, at);
            let done = each(known, Kind::Step, Verb::Undo).filter(|(at, _)| {
                known.branches[usize::from(*at)].vote == Voted::Yes && !is_told(*at)
            });
            let undone: Vec<_> = done.map(|(_, effect)| effect).collect();
            effects.extend(undone);
        }
        Mutant::EarlyDelivery if begins => {
            let Some((run, plan)) = records.iter().find_map(begun) else { return };
            effects.extend(calls(run, &plan, Kind::Deliver, Verb::Deliver).map(|(_, call)| call));
        }
        Mutant::StepAfterAbort => {
            let Some(known) = known.filter(|_| aborts) else { return };
            let not_done = each(known, Kind::Step, Verb::Do)
                .filter(|(at, _)| known.branches[usize::from(*at)].vote != Voted::Yes);
            effects.extend(not_done.map(|(_, effect)| effect));
        }
        Mutant::ResultLost => records.retain(|record| !matches!(record, Record::Done { .. })),
        Mutant::UnsyncedPlan => *forced &= !begins,
        _ => {}
    }
}

fn aborted(records: &[Record]) -> bool {
    let aborts =
        |record: &Record| matches!(record, Record::Decided { decision: Decision::Abort(_), .. });
    records.iter().any(aborts)
}

fn is_called(effects: &[Effect], at: Index) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Call { branch, .. } if *branch == at))
}

fn begun(record: &Record) -> Option<(RunId, Arc<Plan>)> {
    match record {
        Record::Begun { case, plan: Some(plan), .. } => Some((case.run, Arc::clone(plan))),
        _ => None,
    }
}

fn each(known: &Known, kind: Kind, verb: Verb) -> impl Iterator<Item = (Index, Effect)> + use<> {
    let plan = known.plan.clone().unwrap_or_default();
    calls(known.run, &plan, kind, verb).collect::<Vec<_>>().into_iter()
}

/// A call of every branch of that kind.
fn calls(
    run: RunId,
    plan: &Arc<Plan>,
    kind: Kind,
    verb: Verb,
) -> impl Iterator<Item = (Index, Effect)> {
    let of_kind = move |branch: &Index| plan.kind(*branch) == kind;
    (0..plan.branches.len() as Index).filter(of_kind).map(move |branch| {
        let given =
            Given { plan: Arc::clone(plan), outputs: Vec::new(), attempt: 1, is_early: false };
        let (resource, within_ms) = (String::new(), 1_000);
        (branch, Effect::Call { run, branch, resource, verb, within_ms, given })
    })
}
