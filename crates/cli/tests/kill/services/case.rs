//! One case: a node, a service and perhaps a database, from their start to the proof that each
//! effect is there once, or was taken back once.

use std::{collections::BTreeMap, time::Instant};

use handfast_client::{Error, Handfast, Outcome, barrier::LOCAL, wire::ListFilter};
use tempfile::TempDir;

use super::{
    super::{
        BETWEEN_LOOKS, REACHED_WITHIN, Result, SETTLED_WITHIN, case::known, matrix,
        process::Process, said,
    },
    branch::Branch,
    caller::{Caller, http},
    ledger::{Ledger, Postgres},
    shapes::{Sender, Shape, Stop, Then},
};

const GID: &str = "the-one";
const SERVICE: &str = env!("CARGO_BIN_EXE_handfast-kill-service");

/// What became of the transaction, as far as the node knows.
#[derive(Clone, Copy, Debug)]
enum Found {
    Nothing,
    /// It waits for its caller's word.
    Open,
    /// True if it is committed.
    Ended(bool),
}

pub struct Case {
    shape: &'static Shape,
    stop: &'static Stop,
    node: Process,
    service: Process,
    /// If a branch uses it, or the service.
    ledger: Option<Ledger>,
    hf: Handfast,
    /// Declared last: the processes are gone when it is removed.
    _directory: TempDir,
}

impl Case {
    /// `postgres` is a server for all databases of the case; otherwise they are in SQLite.
    /// `cluster` is no other's name.
    pub fn new(
        (shape, stop): (&'static Shape, &'static Stop),
        cluster: &str,
        postgres: Option<&str>,
    ) -> Result<Self> {
        let directory = tempfile::tempdir().map_err(said)?;
        let of_cluster = format!("cluster={cluster}");
        let mut node = Process::new(directory.path(), "node", &["serve", "--set", &of_cluster]);
        let mut service = Process::of(SERVICE, directory.path(), "service", &[]);
        node.arg(["--resource", &format!("service=service+{}", service.url)]);
        let ledger = match postgres {
            Some(url) => {
                service.arg(["--postgres", &format!("{url}?options=-csearch_path%3D{cluster}")]);
                Some(Ledger::Postgres(Postgres { url: url.into(), schema: cluster.into() }))
            }
            None => shape.uses_ledger().then(|| Ledger::shard(directory.path(), &node.url)),
        };
        if let Some(ledger) = &ledger {
            node.arg(["--resource", &format!("ledger={}", ledger.url())]);
        }
        let hf = Handfast::builder(&node.url).build().map_err(said)?;
        Ok(Self { shape, stop, node, service, ledger, hf, _directory: directory })
    }

    /// Answers what was found when all were back, before the caller asked again, and how long it
    /// took until nothing was in doubt.
    pub async fn run(mut self) -> Result<String> {
        match self.story().await {
            Ok(cell) => Ok(cell),
            Err(why) => {
                let effects = self.effects().await;
                let (node, service) = (self.node.said(), self.service.said());
                Err(format!("{why}\n  {effects:?}\n  node:\n{node}  service:\n{service}"))
            }
        }
    }

    async fn story(&mut self) -> Result<String> {
        self.start().await?;
        let caller = self.caller();
        let first = caller.clone();
        let told = self.deaths(tokio::spawn(async move { first.call().await })).await?;
        let up = Instant::now();
        let answers = caller.answers();
        let found = self.found(answers).await?;
        let answer = match self.shape.sender {
            Sender::Runs | Sender::Adds(_) => caller.call().await?,
            _ => found.ended(),
        };
        let wanted = self.shape.commits && !self.stop.in_votes;
        if answer != Some(wanted) || found.ended().is_some_and(|found| found != wanted) {
            return Err(format!("found {found:?}, and then {answer:?}"));
        }
        if told.is_some_and(|told| told != wanted) {
            return Err(format!("the caller was told {told:?}"));
        }
        self.settled(up).await?;
        let cell = matrix::cell(found.word(), up.elapsed());
        let again = caller.ask_again(&self.hf.opened(GID)).await?;
        if again.is_some_and(|again| again != wanted) {
            return Err(format!("asked again, the answer is {again:?}"));
        }
        let is_left = self.shape.sender == Sender::Adds(Then::Leaves);
        self.keeps(if is_left { answers } else { 1 + self.shape.branches.len() }).await?;
        self.check(wanted).await?;
        Ok(cell)
    }

    /// Starts everything; the right processes get the order to die.
    async fn start(&mut self) -> Result<()> {
        let order = |at: Option<&str>| at.map(|at| ("HANDFAST_KILL_AT", at.to_owned()));
        if let Some(ledger) = &mut self.ledger {
            ledger.open().await?;
        }
        self.service.start(order(self.stop.service).as_slice()).await?;
        self.node.start(order(self.stop.node).as_slice()).await
    }

    fn caller(&self) -> Caller {
        let branch = |branch: &Branch| (*branch, branch.of(GID, self.ledger.as_ref()));
        let branches = self.shape.branches.iter().map(branch).collect();
        let empty = self.hf.transaction(GID);
        Caller::new(self.shape.sender, empty, branches, self.service.url.clone())
    }

    /// Waits until those have died who are to, and starts them again: what the caller was told, if
    /// it was told. The caller of a dead node gives up.
    async fn deaths(
        &mut self,
        sender: tokio::task::JoinHandle<Result<Option<bool>>>,
    ) -> Result<Option<bool>> {
        if self.stop.service.is_some() {
            self.service.died().await?;
        }
        if self.stop.node.is_some() {
            self.node.died().await?;
            sender.abort();
            self.node.start(&[]).await?;
        }
        if self.stop.service.is_some() {
            self.service.start(&[]).await?;
        }
        if self.stop.node.is_some() {
            // Nothing is known of an answer that was still waited for.
            return Ok(sender.await.ok().and_then(Result::ok).flatten());
        }
        let told = tokio::time::timeout(REACHED_WITHIN, sender).await;
        told.map_err(|_| "the caller was left without an answer")?.map_err(said)?
    }

    /// What the node says of it, before a caller who got so many answers asks again.
    async fn found(&self, answers: usize) -> Result<Found> {
        let until = Instant::now() + SETTLED_WITHIN;
        let waits = matches!(self.shape.sender, Sender::Adds(Then::Commits | Then::Aborts));
        let found = loop {
            match self.hf.outcome(GID).await {
                Ok(Outcome::Unknown(unknown)) if waits && unknown.is_held() => break Found::Open,
                Ok(Outcome::Unknown(_)) if Instant::now() < until => {
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
                Ok(outcome) => break Found::Ended(known(GID, outcome)?),
                Err(Error::NotFound(_)) if answers == 0 => return Ok(Found::Nothing),
                Err(other) => return Err(said(other)),
            }
        };
        self.keeps(answers).await?;
        Ok(found)
    }

    /// All branches are there of which a caller was told who got so many answers, and each of them
    /// once.
    async fn keeps(&self, answers: usize) -> Result<()> {
        let seen = self.hf.get(GID).await.map_err(said)?.branches;
        let seen: Vec<_> = seen.iter().map(|branch| branch.name.as_str()).collect();
        let all: Vec<_> = self.shape.branches.iter().map(|branch| branch.name()).collect();
        match all.starts_with(&seen) && seen.len() + 1 >= answers {
            true => Ok(()),
            false => Err(format!("after {answers} answers its branches are {seen:?}")),
        }
    }

    /// Waits until nothing is open at the node nor prepared in the database.
    async fn settled(&self, up: Instant) -> Result<()> {
        let open = ListFilter { state: Some("open".into()), ..ListFilter::default() };
        loop {
            let mut left: Vec<String> = match &self.ledger {
                Some(ledger) => ledger.in_doubt().await?,
                None => Vec::new(),
            };
            let open = self.hf.list(&open).await.map_err(said)?.transactions;
            left.extend(open.iter().map(|line| format!("{} is {:?}", line.gid, line.state)));
            if left.is_empty() {
                return Ok(());
            }
            if up.elapsed() > SETTLED_WITHIN {
                return Err(format!("not settled in time: {left:?}"));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Every branch has done, and taken back, what it must have; and a local transaction of which
    /// it was said that it did not commit never will.
    async fn check(&self, committed: bool) -> Result<()> {
        let mut effects = self.effects().await?;
        for branch in self.shape.branches {
            let of_branch = effects.remove(branch.name()).unwrap_or_default();
            if !branch.holds(committed, self.stop.was_tried(), &of_branch) {
                return Err(format!("{branch:?}: {of_branch:?}, committed: {committed}"));
            }
        }
        let local = effects.remove(LOCAL).unwrap_or_default();
        let is_message = self.shape.sender.has_message();
        if local != (if is_message && committed { vec!["mark"] } else { vec![] }) {
            return Err(format!("the local transaction: {local:?}, committed: {committed}"));
        }
        if !effects.is_empty() {
            return Err(format!("nobody asked for it: {effects:?}"));
        }
        if is_message {
            match http(&self.service.url, &format!("POST /local/{GID}")).await? {
                (409, _) => {}
                late => return Err(format!("a local transaction came after all: {late:?}")),
            }
        }
        match &self.ledger {
            Some(ledger) => ledger.close().await,
            None => Ok(()),
        }
    }

    /// What took effect, by the name of the branch, in order.
    async fn effects(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let (_, rows) = http(&self.service.url, &format!("GET /effects/{GID}")).await?;
        let rows: Vec<(String, String)> = serde_json::from_str(&rows).map_err(said)?;
        let mut effects = BTreeMap::<_, Vec<_>>::new();
        for (name, call) in rows {
            effects.entry(name).or_default().push(call);
        }
        if let Some(ledger) = &self.ledger {
            for _ in 0..ledger.entries(GID).await? {
                effects.entry(Branch::Ledger.name().into()).or_default().push("entry".into());
            }
        }
        Ok(effects)
    }
}

impl Found {
    fn ended(self) -> Option<bool> {
        match self {
            Self::Ended(committed) => Some(committed),
            Self::Nothing | Self::Open => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Nothing | Self::Ended(_) => matrix::word(self.ended()),
        }
    }
}
