//! What Prometheus sees.

use std::{fmt::Write as _, time::Duration};

use handfast_client::wire;
use handfast_core::{plan::Verb, transaction::Answer, vote::Reply};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// Counters of this run of the node.
pub(super) struct Metrics {
    registry: Registry,
    begun: Counter,
    answered: Family<Answered, Counter>,
    heuristic: Counter,
    orphans: Counter,
    took: Family<Took, Histogram, fn() -> Histogram>,
    calls: Family<Called, Histogram, fn() -> Histogram>,
    replies: Family<Replied, Counter>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    Aborted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    resource: String,
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Replied {
    resource: String,
    reply: &'static str,
}

/// What a participant is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Prepare,
    Hold,
    Commit,
    Abort,
    Do,
    Undo,
    Deliver,
    Try,
    Confirm,
    Cancel,
    Ask,
}

impl Call {
    /// What is asked of databases and shards.
    const PREPARING: [Self; 4] = [Self::Prepare, Self::Hold, Self::Commit, Self::Abort];
    /// What is asked of services.
    const CALLED: [Self; 7] =
        [Self::Do, Self::Undo, Self::Deliver, Self::Try, Self::Confirm, Self::Cancel, Self::Ask];

    /// Its word: in metrics, timelines and the names of stops.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Hold => "hold",
            Self::Commit => "commit",
            Self::Abort => "abort",
            Self::Do => "do",
            Self::Undo => "undo",
            Self::Deliver => "deliver",
            Self::Try => "try",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Ask => "ask",
        }
    }
}

impl From<Verb> for Call {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Do => Self::Do,
            Verb::Undo => Self::Undo,
            Verb::Deliver => Self::Deliver,
            Verb::Try => Self::Try,
            Verb::Confirm => Self::Confirm,
            Verb::Cancel => Self::Cancel,
            Verb::Ask => Self::Ask,
        }
    }
}

/// Where the times of one resource's calls go, and what services answer.
pub(super) struct Times {
    calls: Vec<(Call, Histogram)>,
    replies: Vec<(&'static str, Counter)>,
}

impl Times {
    /// Of something that is asked at this resource.
    pub(super) fn of(&self, call: Call) -> Option<&Histogram> {
        self.calls.iter().find(|(kind, _)| *kind == call).map(|(_, took)| took)
    }

    /// A service answered.
    pub(super) fn replied(&self, reply: &Reply) {
        let name = reply_name(reply);
        if let Some((_, count)) = self.replies.iter().find(|(other, _)| *other == name) {
            count.inc();
        }
    }
}

const REPLIES: [&str; 7] =
    ["done", "refused", "in_progress", "unsent", "later", "unknown", "broken"];

fn reply_name(reply: &Reply) -> &'static str {
    match reply {
        Reply::Done(_) => "done",
        Reply::Refused(_) => "refused",
        Reply::InProgress(_) => "in_progress",
        Reply::Unsent(_) => "unsent",
        Reply::Later(_) => "later",
        Reply::Unknown(_) => "unknown",
        Reply::Broken(_) => "broken",
    }
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
        let replies = Family::<Replied, Counter>::default();
        registry.register("replies", "What services answered", replies.clone());
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
        Self { registry, begun, answered, heuristic, orphans, took, calls, replies }
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

    /// What is counted of one resource.
    pub(super) fn times(&self, resource: &str, is_service: bool) -> Times {
        let calls: &[Call] = if is_service { &Call::CALLED } else { &Call::PREPARING };
        let replies: &[&'static str] = if is_service { &REPLIES } else { &[] };
        let took = |call: &Call| {
            let called = Called { resource: resource.into(), call: call.name() };
            (*call, self.calls.get_or_create_owned(&called))
        };
        let replied = |reply: &&'static str| {
            let replied = Replied { resource: resource.into(), reply };
            (*reply, self.replies.get_or_create_owned(&replied))
        };
        Times {
            calls: calls.iter().map(took).collect(),
            replies: replies.iter().map(replied).collect(),
        }
    }

    pub(super) fn heuristic(&self) {
        self.heuristic.inc();
    }

    pub(super) fn orphan(&self) {
        self.orphans.inc();
    }

    /// Everything as text: the counters, and the gauges as they are now.
    pub(super) fn text(
        &self,
        open: usize,
        messages: (u64, u64),
        resources: &[wire::Resource],
    ) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        // The registry's text ends with an end mark, before which the gauges belong.
        text.truncate(text.trim_end().trim_end_matches("# EOF").len());
        gauge(&mut text, "transactions_open", "Transactions that are not finished");
        let _ = writeln!(text, "handfast_transactions_open {open}");
        let gauges: [Gauge; 6] = [
            ("resource_up", "Whether it answered last time", |one| {
                Some(u64::from(one.health == wire::Health::Up))
            }),
            ("resource_calls", "Calls that run there now", |one| Some(one.calls)),
            ("resource_prepared", "Branches of ours prepared there", |one| one.prepared),
            ("resource_foreign", "Prepared branches of others there", |one| one.foreign),
            ("resource_oldest_in_doubt_milliseconds", "Age of the oldest of ours", |one| {
                one.oldest_in_doubt_ms
            }),
            ("resource_stuck", "Transactions that wait for an operator there", |one| one.stuck),
        ];
        for (name, help, value) in gauges {
            gauge(&mut text, name, help);
            for one in resources {
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
