//! The coordinating node dies for good between votes and decision: its shards finish without it,
//! all alike, while another node goes on with them. Then an acceptor dies, which nobody notices.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use handfast_client::{
    Handfast, Outcome, Shard, ShardValue, Transaction,
    wire::{Decide, KeyOp},
};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{BETWEEN_LOOKS, REACHED_WITHIN, Result, process::Process, said};

/// Most time from the node's death to the one when nothing is in doubt: its shards notice that it
/// is silent, and decide among themselves.
const FINISHED_WITHIN: Duration = Duration::from_secs(15);
const SHARDS: [&str; 3] = ["left", "right", "third"];
const BALANCE: i64 = 100;

/// What becomes of the transaction when its node dies at this point.
struct Case {
    decide: Decide,
    point: &'static str,
    /// `None` where it depends on which message was the faster.
    committed: Option<bool>,
}

const fn case(decide: Decide, point: &'static str, committed: Option<bool>) -> Case {
    Case { decide, point, committed }
}

const CASES: &[Case] = &[
    case(Decide::ThreePhase, "after_prepare.1", Some(false)),
    // All voted yes, and nobody was told so.
    case(Decide::ThreePhase, "before_sync:1", Some(false)),
    // Some may have been told.
    case(Decide::ThreePhase, "before_messages:1", None),
    // All have said that they were told.
    case(Decide::ThreePhase, "before_sync:2", Some(true)),
    case(Decide::ThreePhase, "before_commit.0", Some(true)),
    case(Decide::Paxos, "after_prepare.1", None),
    // The acceptors have accepted; the node does not know yet.
    case(Decide::Paxos, "messages_taken:1", Some(true)),
    case(Decide::Paxos, "before_commit.0", Some(true)),
];

#[test]
fn shards_finish_without_the_node() {
    let mut failed = Vec::new();
    for Case { decide, point, committed } in CASES {
        let name = format!("{decide:?} {point}");
        match on_runtime(node_dies(*decide, point)) {
            Ok((found, took)) => {
                println!("{name}: committed is {found}, {took:?} after the death");
                if committed.is_some_and(|wanted| wanted != found) {
                    failed.push(format!("{name}: committed is {found}"));
                }
            }
            Err(why) => failed.push(format!("{name}: {why}")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn one_acceptor_may_be_dead() {
    on_runtime(acceptor_dies()).unwrap();
}

fn on_runtime<T>(story: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Runtime::new().map_err(said)?.block_on(story)
}

/// Whether it was committed, and how long after the node's death all shards knew.
async fn node_dies(decide: Decide, point: &str) -> Result<(bool, Duration)> {
    let mut world = World::start(point).await?;
    let story = world.node_dies(decide).await;
    story.map_err(|why| format!("{why}\n{}", world.said()))
}

async fn acceptor_dies() -> Result<()> {
    let mut world = World::start("never").await?;
    let story = world.acceptor_dies().await;
    story.map_err(|why| format!("{why}\n{}", world.said()))
}

/// Two nodes over three shards that know both.
struct World {
    nodes: [Process; 2],
    shards: [Process; 3],
    /// Declared last: the processes are gone when it is removed.
    _directory: TempDir,
}

impl World {
    /// The first node dies at `point`.
    async fn start(point: &str) -> Result<Self> {
        let directory = tempfile::tempdir().map_err(said)?;
        let path = directory.path();
        let mut nodes = ["one", "two"].map(|name| {
            let of_cluster = format!("cluster={name}");
            Process::new(path, name, &["serve", "--set", &of_cluster])
        });
        let mut shards = SHARDS.map(|name| Process::new(path, name, &["shard", "--name", name]));
        let urls = shards.each_ref().map(|shard| shard.url.clone());
        for (at, shard) in shards.iter_mut().enumerate() {
            for (other, url) in urls.iter().enumerate().filter(|(other, _)| *other != at) {
                shard.arg(["--peer", &format!("{}={url}", SHARDS[other])]);
            }
            for (name, node) in ["one", "two"].iter().zip(&nodes) {
                shard.arg(["--coordinator", &format!("{name}={}", node.url)]);
            }
            shard.start(&[]).await?;
        }
        for url in &urls {
            let keys = ["own", "others"].map(|key| (key.into(), ShardValue::Int(BALANCE)));
            let shard = Shard::builder(url).build_shard().map_err(said)?;
            shard.load(&BTreeMap::from(keys)).await.map_err(said)?;
        }
        let at = [("HANDFAST_KILL_AT", point.to_owned())];
        for (node, variables) in nodes.iter_mut().zip([&at[..], &[]]) {
            node.arg(["--set", "paxos_acceptors=right,third"]);
            for (name, url) in SHARDS.iter().zip(&urls) {
                node.arg(["--resource", &format!("{name}={url}")]);
            }
            node.start(variables).await?;
        }
        Ok(Self { nodes, shards, _directory: directory })
    }

    async fn node_dies(&mut self, decide: Decide) -> Result<(bool, Duration)> {
        let told = self.transfer(0, "t", "own", decide)?.run().await.map_err(said)?;
        self.nodes[0].died().await?;
        let died = Instant::now();
        // The other node's transactions neither wait for the dead one nor know of it.
        let other = self.transfer(1, "other", "others", decide)?.run().await.map_err(said)?;
        if !other.is_committed() {
            return Err(format!("the other node's transaction: {other:?}"));
        }
        while !self.in_doubt().await?.is_empty() {
            if died.elapsed() > FINISHED_WITHIN {
                return Err(format!("still in doubt: {:?}", self.in_doubt().await?));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let took = died.elapsed();
        let committed = self.happened("t").await?;
        match told {
            Outcome::Committed(_) if !committed => return Err("the caller was told: yes".into()),
            Outcome::Aborted(_) if committed => return Err("the caller was told: no".into()),
            _ => {}
        }
        // What the dead node's transaction locked is free, and its money is where it should be.
        let again = self.transfer(1, "again", "own", decide)?.run().await.map_err(said)?;
        match again.is_committed() {
            true => self.check(["t", "again", "other"]).await.map(|()| (committed, took)),
            false => Err(format!("its keys are not free: {again:?}")),
        }
    }

    async fn acceptor_dies(&mut self) -> Result<()> {
        self.shards[2].signal(Signal::KILL);
        self.shards[2].died().await?;
        let told = self.transfer(0, "t", "own", Decide::Paxos)?.run().await.map_err(said)?;
        if !told.is_committed() {
            return Err(format!("one of three acceptors is dead: {told:?}"));
        }
        // It comes back; then the node is away as well, for good.
        self.shards[2].start(&[]).await?;
        self.nodes[0].signal(Signal::KILL);
        self.nodes[0].died().await?;
        let until = Instant::now() + FINISHED_WITHIN;
        while !self.in_doubt().await?.is_empty() {
            if Instant::now() > until {
                return Err(format!("still in doubt: {:?}", self.in_doubt().await?));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        self.check(["t"]).await
    }

    /// Moves one from the first shard to the second, by a caller who asks only once.
    fn transfer(&self, node: usize, gid: &str, key: &str, decide: Decide) -> Result<Transaction> {
        let hf = Handfast::builder(&self.nodes[node].url).timeout(Duration::ZERO).build();
        let add = |by| {
            let entry = KeyOp::Add { key: format!("entry:{gid}"), by, min: None, max: None };
            vec![KeyOp::Add { key: key.into(), by, min: Some(0), max: None }, entry]
        };
        let transaction = hf.map_err(said)?.transaction(gid).decide(decide);
        Ok(transaction.keys("debit", SHARDS[0], add(-1)).keys("credit", SHARDS[1], add(1)))
    }

    async fn in_doubt(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = Shard::builder(&shard.url).build_shard().map_err(said)?;
            all.extend(shard.in_doubt().await.map_err(said)?);
        }
        Ok(all)
    }

    async fn keys(&self, shard: usize) -> Result<BTreeMap<String, ShardValue>> {
        let shard = Shard::builder(&self.shards[shard].url).build_shard().map_err(said)?;
        shard.keys("").await.map_err(said)
    }

    /// Whether it happened on both shards; an error if it was split.
    async fn happened(&self, gid: &str) -> Result<bool> {
        let entry = format!("entry:{gid}");
        let there =
            [self.keys(0).await?.contains_key(&entry), self.keys(1).await?.contains_key(&entry)];
        match there {
            [true, true] => Ok(true),
            [false, false] => Ok(false),
            split => Err(format!("{gid} is SPLIT: {split:?}")),
        }
    }

    /// Every account holds what the entries of these transactions say.
    async fn check<const N: usize>(&self, gids: [&str; N]) -> Result<()> {
        // The other node has told its branches by now, or is about to.
        let until = Instant::now() + REACHED_WITHIN;
        while !self.in_doubt().await?.is_empty() {
            if Instant::now() > until {
                return Err(format!("in doubt to the end: {:?}", self.in_doubt().await?));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let mut moved = 0;
        for gid in gids {
            moved += i64::from(self.happened(gid).await?);
        }
        for (shard, sign) in [(0, -1), (1, 1)] {
            let keys = self.keys(shard).await?;
            let held: i64 = ["own", "others"].iter().map(|key| int(&keys[*key])).sum();
            if held != 2 * BALANCE + sign * moved {
                return Err(format!("{} holds {held} after {moved} transfers", SHARDS[shard]));
            }
        }
        Ok(())
    }

    fn said(&self) -> String {
        let all = self.nodes.iter().chain(&self.shards);
        all.map(|process| format!("  {}\n{}", process.url, process.said())).collect()
    }
}

fn int(value: &ShardValue) -> i64 {
    match value {
        ShardValue::Int(int) => *int,
        ShardValue::Bytes(_) => panic!("bytes in an account"),
    }
}
