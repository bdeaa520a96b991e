//! What leaves a node, in words.

use handfast_core::{
    pact::{Message, Peer, Word},
    transaction::{Effect, Index, Input, Known},
    vote::{Refusal, Vote},
    work::Work,
};

use crate::node::{Inner, branches, filling::Filling, metrics::Call, requests};

/// An effect that somebody outside would see.
pub(super) struct Leaving {
    /// Whom it is about.
    pub(super) branch: Option<Index>,
    pub(super) line: String,
    /// What the machine would be told instead, if it cannot leave: it names what is not there.
    pub(super) instead: Option<Input>,
    /// Whether it leaves only when its resource, which is down, answers again.
    pub(super) is_later: bool,
}

impl Leaving {
    /// Timers, answers and what the node keeps in mind are nobody's business.
    pub(super) fn of(inner: &Inner, known: Option<&Known>, effect: Effect) -> Option<Self> {
        let down = |name: &str| inner.resources.get(name)?.down();
        let is_down = |name: &str| down(name).is_some();
        let to = |call: Call, branch: Index, resource: &str| {
            let known = known.and_then(|known| known.branches.get(usize::from(branch)));
            let name = known.map_or("a branch", |known| known.name.as_str());
            let line = format!("{} {name} at {resource}", call.name());
            Self { branch: Some(branch), line, instead: None, is_later: false }
        };
        let nobodys = |line: String| Self { branch: None, line, instead: None, is_later: false };
        Some(match effect {
            Effect::Call { run, branch, resource, verb, given, .. } => {
                let leaving = to(verb.into(), branch, &resource);
                match Filling::of(known, given).call(verb, branch) {
                    Ok(call) => {
                        let leaving = leaving.more(&format!(": {} {}", call.method, call.path));
                        leaving.unless(is_down(&resource), &resource)
                    }
                    Err(missing) => leaving.not_called(missing, |missing| {
                        let reply = requests::unfilled(verb, missing);
                        requests::heard(verb, run, branch, reply, 0)
                    }),
                }
            }
            Effect::Prepare { run, branch, resource, work, given, .. } => {
                let leaving = to(Call::Prepare, branch, &resource);
                let away = down(&resource).map(|fault| branches::refusal("resource_down", &fault));
                match missing(work, given.map(|given| Filling::of(known, given))).or(away) {
                    None => leaving,
                    Some(missing) => leaving.not_called(missing, |missing| Input::Voted {
                        run,
                        branch,
                        vote: Vote::No(missing),
                        tried: None,
                    }),
                }
            }
            Effect::Commit { branch, resource, .. } => {
                to(Call::Commit, branch, &resource).unless(is_down(&resource), &resource)
            }
            Effect::Abort { branch, resource, .. } => {
                to(Call::Abort, branch, &resource).unless(is_down(&resource), &resource)
            }
            Effect::Ask { resource, .. } => {
                nobodys(format!("ask {resource} whether its caller's local transaction committed"))
                    .unless(is_down(&resource), &resource)
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

    /// Nothing leaves for a resource that is down.
    pub(super) fn unless(self, is_down: bool, resource: &str) -> Self {
        match is_down {
            false => self,
            true => {
                Self { is_later: true, ..self.more(&format!(", when {resource} answers again")) }
            }
        }
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
