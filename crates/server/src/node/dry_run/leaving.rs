//! What leaves a node, in words.

use handfast_core::{
    pact::{Message, Peer, Word},
    transaction::{Effect, Index, Input, Known},
    vote::{Refusal, Vote},
    work::Work,
};

use crate::node::{filling::Filling, metrics::Call, requests};

/// An effect that somebody outside would see.
pub(super) struct Leaving {
    /// Whom it is about.
    pub(super) branch: Option<Index>,
    pub(super) line: String,
    /// What the machine would be told instead, if it cannot leave: it names what is not there.
    pub(super) instead: Option<Input>,
}

impl Leaving {
    /// Timers, answers and what the node keeps in mind are nobody's business.
    pub(super) fn of(known: Option<&Known>, effect: Effect) -> Option<Self> {
        let to = |call: Call, branch: Index, resource: &str| {
            let known = known.and_then(|known| known.branches.get(usize::from(branch)));
            let name = known.map_or("a branch", |known| known.name.as_str());
            let line = format!("{} {name} at {resource}", call.name());
            Self { branch: Some(branch), line, instead: None }
        };
        let nobodys = |line: String| Self { branch: None, line, instead: None };
        Some(match effect {
            Effect::Call { run, branch, resource, verb, given, .. } => {
                let leaving = to(verb.into(), branch, &resource);
                match Filling::of(known, given).call(verb, branch) {
                    Ok(call) => leaving.more(&format!(": {} {}", call.method, call.path)),
                    Err(missing) => leaving.not_called(missing, |missing| {
                        let reply = requests::unfilled(verb, missing);
                        requests::heard(verb, run, branch, reply, 0)
                    }),
                }
            }
            Effect::Prepare { run, branch, resource, work, given, .. } => {
                let leaving = to(Call::Prepare, branch, &resource);
                match missing(work, given.map(|given| Filling::of(known, given))) {
                    None => leaving,
                    Some(missing) => leaving.not_called(missing, |missing| Input::Voted {
                        run,
                        branch,
                        vote: Vote::No(missing),
                        tried: None,
                    }),
                }
            }
            Effect::Commit { branch, resource, .. } => to(Call::Commit, branch, &resource),
            Effect::Abort { branch, resource, .. } => to(Call::Abort, branch, &resource),
            Effect::Ask { resource, .. } => {
                nobodys(format!("ask {resource} whether its caller's local transaction committed"))
            }
            Effect::Send { to, message } => nobodys(sent(&to, &message)),
            Effect::Reply { .. }
            | Effect::Arm { .. }
            | Effect::ArmAt { .. }
            | Effect::Recall { .. }
            | Effect::Alarm { .. }
            | Effect::Close { .. } => return None,
        })
    }

    fn more(mut self, text: &str) -> Self {
        self.line.push_str(text);
        self
    }

    fn not_called(self, missing: Refusal, told: impl FnOnce(Refusal) -> Input) -> Self {
        let leaving = self.more(&format!(" cannot be called: {}", missing.message));
        Self { instead: Some(told(missing)), ..leaving }
    }
}

/// What statements name, and is not there.
fn missing(work: Work, filling: Option<Filling>) -> Option<Refusal> {
    match work {
        Work::Sql(sql) => filling?.sql(sql).err(),
        Work::Keys(_) | Work::Calls(_) => None,
    }
}

/// Whatever else shards are told: which word it is tells only who knows the protocol.
fn sent(to: &Peer, message: &Message) -> String {
    let Word::Decided { commit, .. } = message.word else {
        return format!("find out with {to} how it ends");
    };
    format!("tell {to} to {}", if commit { "commit" } else { "abort" })
}
