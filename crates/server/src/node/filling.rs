//! What a call is made of: the plan, and what earlier branches have put out.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use handfast_core::{
    id::BranchId,
    plan::{self, Ask, Calls, Given, Plan, Verb},
    transaction::{Index, Known, Transaction},
    vote::{Proof, Refusal},
    work::{Sql, Work},
};
use handfast_log::{Partition, Sqlite};
use handfast_participants::{Absent, ServiceCall};

use super::requests::missing;
use crate::template;

/// What the calls of a branch may use now.
#[derive(Default)]
pub(super) struct Filling {
    plan: Arc<Plan>,
    /// By the names of the branches.
    outputs: Vec<(String, Proof)>,
    attempt: u32,
    is_early: bool,
}

impl Filling {
    /// The names stand where the transaction is, which has what is recorded of it.
    pub(super) fn new(partition: &Partition<Transaction, Sqlite>, gid: &str, given: Given) -> Self {
        let known = match given.outputs.is_empty() {
            true => None,
            false => partition.machine(gid).and_then(|(saved, _)| saved.known.as_ref()),
        };
        Self::of(known, given)
    }

    /// `known` is what is recorded of the transaction; without it nothing has a name.
    pub(super) fn of(known: Option<&Known>, given: Given) -> Self {
        let Given { plan, outputs, attempt, is_early } = given;
        let named = |(branch, output): (Index, Proof)| {
            Some((known?.branches.get(usize::from(branch))?.name.clone(), output))
        };
        let outputs = outputs.into_iter().filter_map(named).collect();
        Self { plan, outputs, attempt, is_early }
    }

    /// A branch's calls, if it is a service's.
    pub(super) fn calls(&self, branch: Index) -> Option<&Calls> {
        match &self.plan.branches.get(usize::from(branch))?.work {
            Work::Calls(calls) => Some(calls),
            Work::Sql(_) | Work::Keys(_) => None,
        }
    }

    fn template(&self, verb: Verb, branch: Index) -> Option<&plan::Call> {
        match verb {
            Verb::Do | Verb::Deliver | Verb::Try => self.calls(branch).map(|calls| &calls.act),
            Verb::Undo | Verb::Cancel => self.calls(branch)?.undo.as_ref(),
            Verb::Confirm => self.calls(branch)?.confirm.as_ref(),
            Verb::Ask => self.plan.terms.ask.as_ref().map(|ask| &ask.call),
        }
    }

    /// What to call, with its templates filled in.
    pub(super) fn call(&self, verb: Verb, branch: Index) -> Result<plan::Call, Refusal> {
        let call = self.template(verb, branch);
        let call = call.ok_or_else(|| missing("the plan has no such call".into()))?;
        template::render(call, &self.plan.terms.input, &self.outputs).map_err(missing)
    }

    /// Why the caller's local transaction never commits, and who was asked what to know it.
    pub(super) fn asked_back(&self, refusal: Refusal) -> Refusal {
        let Some(Ask { resource, call }) = self.plan.terms.ask.as_deref() else { return refusal };
        let plan::Call { method, path, .. } = call;
        let said = &refusal.message;
        let message = format!(
            "{resource} was asked `{method} {path}` whether its caller's local transaction \
             committed, and it never will: {said}"
        );
        Refusal { message, ..refusal }
    }

    /// Statements with the parameters that other branches put out.
    pub(super) fn sql(&self, mut sql: Sql) -> Result<Sql, Refusal> {
        template::fill(&mut sql, &self.plan.terms.input, &self.outputs).map_err(missing)?;
        Ok(sql)
    }

    pub(super) fn service_call(
        &self,
        gid: &str,
        branch: BranchId,
        verb: Verb,
        call: plan::Call,
        within: Duration,
    ) -> ServiceCall {
        let absent = match self.calls(branch.index) {
            Some(calls) if calls.absent_is_undone && self.is_early => Absent::TooEarly,
            Some(calls) if calls.absent_is_undone => Absent::Undone,
            _ => Absent::Nonsense,
        };
        let trace = match &*self.plan.terms.trace {
            "" => traceparent(gid, &branch),
            callers => callers.into(),
        };
        ServiceCall {
            gid: gid.into(),
            branch,
            verb,
            attempt: self.attempt,
            call,
            trace,
            within,
            absent,
        }
    }
}

/// The `traceparent` (W3C Trace Context) of a transaction whose caller sent none. It is made of
/// what is recorded anyway and never given to another run, so all its calls have the same, also
/// after a restart, and no request differs by it from its duplicate. Made once for each call, so it
/// must cost little.
///
/// It is hashed because samplers that keep a part of all traces go by the bits of the trace's id.
/// It says "sampled" though nobody has chosen: the usual samplers follow their parent, and would
/// record nothing of a trace that says that it is not.
fn traceparent(gid: &str, BranchId { cluster, run, .. }: &BranchId) -> String {
    let [high, low, parent] = [0_u8, 1, 2].map(|part| {
        let mut hasher = DefaultHasher::new();
        (part, cluster.as_str(), run, gid).hash(&mut hasher);
        hasher.finish()
    });
    // All zeros would be no id.
    format!("00-{high:016x}{:016x}-{:016x}-01", low.max(1), parent.max(1))
}

#[cfg(test)]
mod tests {
    use handfast_core::id::{Cluster, RunId};

    use super::*;

    #[test]
    fn a_made_traceparent_is_one_for_each_run_and_not_for_each_branch() {
        let of = |gid: &str, number: u64, index: Index| {
            let cluster = Cluster::new("test").unwrap();
            let run = RunId { epoch: 1, number };
            traceparent(gid, &BranchId { cluster, run, index })
        };
        let made = of("a", 1, 0);
        assert_eq!(made, of("a", 1, 5));
        assert_ne!(made[3..35], of("a", 2, 0)[3..35]);
        assert_ne!(made[3..35], of("b", 1, 0)[3..35]);
        assert_ne!(made[3..19], made[19..35]);
    }
}
