//! What Prometheus sees.

use std::{fmt::Write as _, sync::Arc};

use handfast_client::wire;
use handfast_core::transaction::Answer;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::resource::Resource;

/// Counters of this run of the node.
pub(super) struct Metrics {
    registry: Registry,
    begun: Counter,
    answered: Family<Outcome, Counter>,
    heuristic: Counter,
    orphans: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("handfast");
        let (begun, answered) = (Counter::default(), Family::<Outcome, Counter>::default());
        let (heuristic, orphans) = (Counter::default(), Counter::default());
        registry.register("transactions_begun", "Requests to run a transaction", begun.clone());
        registry.register("answers", "Answers given to callers, by outcome", answered.clone());
        registry.register(
            "heuristic_branches",
            "Branches found finished against the decision: each needs a person",
            heuristic.clone(),
        );
        registry.register(
            "orphaned_branches",
            "Branches rolled back because nothing was decided about them",
            orphans.clone(),
        );
        Self { registry, begun, answered, heuristic, orphans }
    }

    pub(super) fn begun(&self) {
        self.begun.inc();
    }

    pub(super) fn answered(&self, answer: &Answer) {
        let outcome = match answer {
            Answer::Committed => "committed",
            Answer::Aborted(_) => "aborted",
            Answer::Mixed => "mixed",
            Answer::OtherContent | Answer::Busy => "refused",
            _ => return,
        };
        self.answered.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn heuristic(&self) {
        self.heuristic.inc();
    }

    pub(super) fn orphan(&self) {
        self.orphans.inc();
    }

    /// Everything as text: the counters, and the gauges as they are now.
    pub(super) fn text<'a>(
        &self,
        open: usize,
        resources: impl Iterator<Item = &'a Arc<Resource>>,
    ) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        // The registry's text ends with an end mark, before which the gauges belong.
        text.truncate(text.trim_end().trim_end_matches("# EOF").len());
        gauge(&mut text, "transactions_open", "Transactions that are not finished");
        let _ = writeln!(text, "handfast_transactions_open {open}");
        let resources: Vec<wire::Resource> = resources.map(|one| one.view()).collect();
        let gauges: [Gauge; 5] = [
            ("resource_up", "Whether it answered last time", |one| {
                Some(u64::from(one.health == wire::Health::Up))
            }),
            ("resource_calls", "Calls that run there now", |one| Some(one.calls)),
            ("resource_prepared", "Branches of ours prepared there", |one| one.prepared),
            ("resource_foreign", "Prepared branches of others there", |one| one.foreign),
            ("resource_oldest_in_doubt_milliseconds", "Age of the oldest of ours", |one| {
                one.oldest_in_doubt_ms
            }),
        ];
        for (name, help, value) in gauges {
            gauge(&mut text, name, help);
            for one in &resources {
                if let Some(value) = value(one) {
                    let _ = writeln!(text, "handfast_{name}{{resource=\"{}\"}} {value}", one.name);
                }
            }
        }
        text.push_str("# EOF\n");
        text
    }
}

type Gauge = (&'static str, &'static str, fn(&wire::Resource) -> Option<u64>);

fn gauge(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP handfast_{name} {help}.\n# TYPE handfast_{name} gauge");
}
