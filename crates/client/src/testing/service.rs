//! Does a service stand calls that come twice, too late, in the wrong order, and at the same time?

use std::fmt;

use serde_json::Value;

use super::{
    Answer, Reply, Request, Unanswered,
    run::{Run, kinds, named, short, unfit},
    unwind::Unfit,
};
use crate::{barrier::CallKind, wire::Branch};

/// How often calls are made at the same time.
const ROUNDS: u32 = 8;

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What was called.
    pub name: String,
    /// How that went.
    pub verdict: Verdict,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it must.
    Holds,
    /// Not so, and how.
    Breaks(String),
    /// The service did not do what the case starts from, so nothing is known.
    NotTried(String),
}

/// Calls one step or one reservation of a service in every order, and tells what it does not stand.
/// Every case is a transaction of its own, and all but those that confirm are undone at the end.
///
/// `call` brings a call to the service. `snapshot` tells the state that do and undo change; nobody
/// else may change it meanwhile. If it always tells the same, only answers are compared.
///
/// A call that names `{{branch.field}}`, with the branch's own name, gets what its do has put out.
///
/// # Errors
/// The branch calls nothing, or has nothing that takes it back.
pub async fn check<F, S, T>(
    branch: &Branch,
    input: &Option<Value>,
    call: F,
    snapshot: S,
) -> Result<Vec<Case>, Unfit>
where
    F: AsyncFn(Request) -> Result<Answer, Unanswered>,
    S: AsyncFn() -> T,
    T: PartialEq + fmt::Debug,
{
    if let Some(why) = unfit(branch) {
        return Err(Unfit(why));
    }
    let [act, back] = kinds(branch);
    if named(branch, back).is_none() {
        return Err(Unfit(format!("the branch `{}` has no {}", branch.name, back.name())));
    }
    let mut cases = Vec::new();
    for scene in scenes(act, back, named(branch, CallKind::Confirm).is_some()) {
        for round in 0..scene.rounds {
            let run = Run::new(&call, input);
            let verdict = Stage { branch, run, snapshot: &snapshot }.play(&scene).await;
            if verdict != Verdict::Holds || round + 1 == scene.rounds {
                cases.push(Case { name: scene.name(), verdict });
                break;
            }
        }
    }
    Ok(cases)
}

/// What is called, one after the other, and then at the same time; what it must come to; and what
/// cleans up.
struct Scene {
    /// Must be done.
    before: Vec<CallKind>,
    /// What is tried.
    now: Vec<CallKind>,
    must: Must,
    rounds: u32,
    /// Whether the state must be as before the scene when all is undone.
    undone: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Must {
    /// Be done, and change nothing any more, with the answer of the same call before it.
    Repeat,
    /// Be done.
    Done,
    /// Be done, and change nothing: there is nothing to take back.
    Empty,
    /// Not be done, and change nothing.
    Refused,
    /// Be done, all of them, with one answer.
    Together,
    /// End as one of the two orders would: all done, or the first one refused.
    Either,
}

fn scenes(act: CallKind, back: CallKind, confirms: bool) -> Vec<Scene> {
    let scene = |before: &[CallKind], now: &[CallKind], must| Scene {
        before: before.into(),
        now: now.into(),
        must,
        rounds: if now.len() > 1 { ROUNDS } else { 1 },
        undone: !before.contains(&CallKind::Confirm) && !now.contains(&CallKind::Confirm),
    };
    let mut scenes = vec![
        scene(&[act], &[act], Must::Repeat),
        scene(&[act], &[back], Must::Done),
        scene(&[act, back], &[back], Must::Repeat),
        scene(&[], &[back], Must::Empty),
        scene(&[back], &[act], Must::Refused),
        scene(&[], &[act, act], Must::Together),
        scene(&[act], &[back, back], Must::Together),
        scene(&[], &[act, back], Must::Either),
    ];
    if confirms {
        let confirm = CallKind::Confirm;
        scenes.extend([
            scene(&[act], &[confirm], Must::Done),
            scene(&[act, confirm], &[confirm], Must::Repeat),
            scene(&[act], &[confirm, confirm], Must::Together),
            scene(&[act, confirm], &[back], Must::Refused),
            scene(&[act, back], &[confirm], Must::Refused),
        ]);
    }
    scenes
}

impl Scene {
    fn name(&self) -> String {
        let names = |kinds: &[CallKind]| kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>();
        let now = names(&self.now);
        let now = match now.len() {
            1 => now.concat(),
            _ => format!("{} at the same time", now.join(" and ")),
        };
        [names(&self.before), vec![&now]].concat().join(", ")
    }
}

struct Stage<'a, F, S> {
    branch: &'a Branch,
    run: Run<'a, F>,
    snapshot: &'a S,
}

impl<F, S, T> Stage<'_, F, S>
where
    F: AsyncFn(Request) -> Result<Answer, Unanswered>,
    S: AsyncFn() -> T,
    T: PartialEq + fmt::Debug,
{
    async fn play(mut self, scene: &Scene) -> Verdict {
        let start = (self.snapshot)().await;
        let mut first = None;
        for kind in &scene.before {
            let reply = self.send(*kind, 1).await;
            if !reply.is_done() {
                return Verdict::NotTried(format!("{}: {reply}", kind.name()));
            }
            first = Some(reply);
        }
        let state = (self.snapshot)().await;
        let played = match scene.now[..] {
            [one] => self.alone(scene.must, one, first).await,
            [one, two] => self.together(scene.must, one, two).await,
            _ => unreachable!("scenes end with one call or with two"),
        };
        let played = match (played, scene.must) {
            (Verdict::Holds, Must::Repeat | Must::Empty | Must::Refused) => {
                differs("it changed something", &state, &(self.snapshot)().await)
            }
            (played, _) => played,
        };
        match scene.undone {
            true => self.clean_up(scene, played, &start).await,
            false => played,
        }
    }

    async fn alone(&mut self, must: Must, kind: CallKind, first: Option<Reply>) -> Verdict {
        let reply = self.send(kind, 2).await;
        let gives_output = kind == kinds(self.branch)[0];
        let breaks = match (must, &reply) {
            (Must::Refused, Reply::Refused(_) | Reply::Broken(_)) => false,
            (Must::Refused, _) => true,
            (Must::Repeat, reply) if gives_output => first.as_ref() != Some(reply),
            (_, reply) => !reply.is_done(),
        };
        match (breaks, first) {
            _ if reply.is_unsent() => Verdict::NotTried(reply.to_string()),
            (false, _) => Verdict::Holds,
            (true, Some(first)) if must == Must::Repeat => {
                Verdict::Breaks(format!("first {first}, then {reply}"))
            }
            (true, _) => Verdict::Breaks(reply.to_string()),
        }
    }

    async fn together(&mut self, must: Must, one: CallKind, two: CallKind) -> Verdict {
        let (branch, run) = (self.branch, &self.run);
        let (first, second) = tokio::join!(run.send(branch, one, 1), run.send(branch, two, 2));
        let gives_output = |kind| kind == kinds(branch)[0];
        let holds = match (must, &first, &second) {
            (Must::Either, Reply::Done(_) | Reply::Refused(_), Reply::Done(_)) => true,
            // What this comes to, its own case tells.
            (Must::Either, _, Reply::Unfilled(_)) => true,
            (Must::Together, Reply::Done(one_said), Reply::Done(two_said)) => {
                !gives_output(one) || one_said == two_said
            }
            _ => false,
        };
        if gives_output(one) {
            self.run.learn(branch, &first);
        }
        match (holds, &first) {
            _ if first.is_unsent() || second.is_unsent() => {
                Verdict::NotTried(format!("one {first}, the other {second}"))
            }
            (true, _) => Verdict::Holds,
            (false, Reply::Refused(_)) if first == second => {
                Verdict::NotTried(format!("{}: {first}", one.name()))
            }
            (false, _) => Verdict::Breaks(format!("one {first}, the other {second}")),
        }
    }

    /// Takes back what the scene did, unless it has done so itself.
    async fn clean_up(&mut self, scene: &Scene, played: Verdict, start: &T) -> Verdict {
        let back = kinds(self.branch)[1];
        let is_back = scene.before.contains(&back) || scene.now.contains(&back);
        if played != Verdict::Holds || !is_back {
            let reply = self.send(back, 3).await;
            if played != Verdict::Holds {
                return played;
            }
            if reply.is_unsent() {
                return Verdict::NotTried(format!("then {}: {reply}", back.name()));
            }
            if !reply.is_done() {
                return Verdict::Breaks(format!("then {}: {reply}", back.name()));
            }
        }
        differs("something is left when it is undone", start, &(self.snapshot)().await)
    }

    async fn send(&mut self, kind: CallKind, attempt: u32) -> Reply {
        let reply = self.run.send(self.branch, kind, attempt).await;
        if kind == kinds(self.branch)[0] {
            self.run.learn(self.branch, &reply);
        }
        reply
    }
}

fn differs<T: PartialEq + fmt::Debug>(what: &str, before: &T, after: &T) -> Verdict {
    match before == after {
        true => Verdict::Holds,
        false => {
            let [before, after] = [before, after].map(|state| short(&format!("{state:?}")));
            Verdict::Breaks(format!("{what}: {before} became {after}"))
        }
    }
}
