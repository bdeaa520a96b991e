//! What Prometheus sees.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use handfast_client::wire;
use handfast_core::transaction::Answer;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::resource::Resource;

/// Counters of this run of the node.
pub(super) struct Metrics {
    registry: Registry,
    begun: Counter,
    answered: Family<Answered, Counter>,
    heuristic: Counter,
    orphans: Counter,
    took: Family<Took, Histogram, fn() -> Histogram>,
    calls: Family<Called, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    outcome: &'static str,
}

/// A part of a transaction's way, from its begin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Took {
    until: &'static str,
    outcome: &'static str,
}

/// What was decided.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Committed,
    Aborted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    resource: String,
    call: &'static str,
}

/// What a participant is asked.
#[derive(Clone, Copy)]
pub(super) enum Call {
    Prepare,
    Hold,
    Commit,
    Abort,
}

/// From half a millisecond to half a minute and more.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 17))
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("handfast");
        let (begun, answered) = (Counter::default(), Family::<Answered, Counter>::default());
        let took = Family::new_with_constructor(seconds as fn() -> Histogram);
        let calls = Family::new_with_constructor(seconds as fn() -> Histogram);
        registry.register(
            "transaction_seconds",
            "How long transactions took from their begin",
            took.clone(),
        );
        registry.register("call_seconds", "How long participants took to answer", calls.clone());
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
        Self { registry, begun, answered, heuristic, orphans, took, calls }
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
        self.answered.get_or_create(&Answered { outcome }).inc();
    }

    /// A transaction was decided.
    pub(super) fn decided(&self, outcome: Outcome, took: Duration) {
        self.took("decided", outcome, took);
    }

    /// Every branch of a transaction is known to be finished.
    pub(super) fn applied(&self, outcome: Outcome, took: Duration) {
        self.took("applied", outcome, took);
    }

    fn took(&self, until: &'static str, outcome: Outcome, took: Duration) {
        let outcome = match outcome {
            Outcome::Committed => "committed",
            Outcome::Aborted => "aborted",
        };
        self.took.get_or_create(&Took { until, outcome }).observe(took.as_secs_f64());
    }

    /// Where the times of a kind of call to a resource go.
    pub(super) fn calls(&self, resource: &str, call: Call) -> Histogram {
        let call = match call {
            Call::Prepare => "prepare",
            Call::Hold => "hold",
            Call::Commit => "commit",
            Call::Abort => "abort",
        };
        self.calls.get_or_create_owned(&Called { resource: resource.into(), call })
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
        messages: (u64, u64),
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
        for (name, help, count) in [
            ("messages_sent", "Messages that shards took", messages.0),
            ("messages_dropped", "Messages that were lost on this side", messages.1),
        ] {
            let _ = writeln!(text, "# HELP handfast_{name} {help}.");
            let _ = writeln!(text, "# TYPE handfast_{name} counter\nhandfast_{name}_total {count}");
        }
        text.push_str("# EOF\n");
        text
    }
}

type Gauge = (&'static str, &'static str, fn(&wire::Resource) -> Option<u64>);

fn gauge(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP handfast_{name} {help}.\n# TYPE handfast_{name} gauge");
}
