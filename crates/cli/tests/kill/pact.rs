//! The coordinating node dies for good between votes and decision: its shards finish without it,
//! all alike, while another node goes on with them. Then acceptors die.

use std::{
    collections::BTreeMap,
    ops::Range,
    time::{Duration, Instant},
};

use handfast_client::{
    Error, Handfast, Outcome, Shard, ShardValue, Transaction,
    wire::{Decide, KeyOp},
};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{BETWEEN_LOOKS, REACHED_WITHIN, Result, process::Process, said};

/// Most time from the node's death to the one when nothing is in doubt: its shards notice that it
/// is silent, and decide among themselves.
const FINISHED_WITHIN: Duration = Duration::from_secs(15);
/// A caller goes on for so long to ask a node that is dead.
const VOTES_WITHIN: Duration = Duration::from_secs(2);
const SHARDS: [&str; 3] = ["left", "right", "third"];
const BALANCE: i64 = 100;
const TOKEN: &str = "everybody-has-the-same";

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
fn a_minority_of_acceptors_may_be_dead() {
    on_runtime(acceptors_die()).unwrap();
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

async fn acceptors_die() -> Result<()> {
    // The acceptor that lives has accepted; the node does not know yet.
    let mut world = World::start("messages_taken:1").await?;
    let story = world.acceptors_die().await;
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
        // Everybody wants a token of everybody.
        let token = path.join("token");
        std::fs::write(&token, TOKEN).map_err(said)?;
        let token = token.to_str().expect("made of ASCII");
        for (at, shard) in shards.iter_mut().enumerate() {
            for flag in ["--token-file", "--peer-token-file", "--coordinator-token-file"] {
                shard.arg([flag, token]);
            }
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
            let shard = Shard::builder(url).token(TOKEN).build_shard().map_err(said)?;
            shard.load(&BTreeMap::from(keys)).await.map_err(said)?;
        }
        let at = [("HANDFAST_KILL_AT", point.to_owned())];
        for (node, variables) in nodes.iter_mut().zip([&at[..], &[]]) {
            node.arg(["--set", "paxos_acceptors=right,third"]);
            for (name, url) in SHARDS.iter().zip(&urls) {
                node.arg(["--resource", &format!("{name}={url}")]);
                node.arg(["--set", &format!("resources.{name}.secret_file={token}")]);
            }
            node.arg(["--set", &format!("auth.tokens.all.token_file={token}")]);
            node.arg(["--set", "auth.tokens.all.role=operate"]);
            node.start(variables).await?;
        }
        Ok(Self { nodes, shards, _directory: directory })
    }

    async fn node_dies(&mut self, decide: Decide) -> Result<(bool, Duration)> {
        let asked = tokio::spawn(self.transfer(0, "t", "own", decide)?.run());
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
        match asked.await.map_err(said)?.map_err(said)? {
            Outcome::Committed(_) if !committed => return Err("the caller was told: yes".into()),
            Outcome::Aborted(_) if committed => return Err("the caller was told: no".into()),
            _ => {}
        }
        // What the dead node's transaction locked is free, and its money is where it should be.
        let again = self.transfer(1, "again", "own", decide)?.run().await.map_err(said)?;
        if !again.is_committed() {
            return Err(format!("its keys are not free: {again:?}"));
        }
        self.check(["t", "again", "other"]).await?;
        self.node_comes_back(committed).await?;
        self.check(["t", "again", "other"]).await.map(|()| (committed, took))
    }

    /// Should the node come back after all, it answers what its shards have done.
    async fn node_comes_back(&mut self, committed: bool) -> Result<()> {
        self.nodes[0].start(&[]).await?;
        let hf = Handfast::builder(&self.nodes[0].url).token(TOKEN).build().map_err(said)?;
        let answer = hf.wait("t", FINISHED_WITHIN).await;
        match &answer {
            Ok(Outcome::Committed(_)) if committed => Ok(()),
            Ok(Outcome::Aborted(_)) | Err(Error::NotFound(_)) if !committed => Ok(()),
            _ => Err(format!("committed is {committed}, and the node says {answer:?}")),
        }
    }

    /// One of three acceptors is dead: nobody notices. Two are dead: the shards wait, and finish as
    /// soon as one of the two is back, which is not the node.
    async fn acceptors_die(&mut self) -> Result<()> {
        self.shards[2].signal(Signal::KILL);
        self.shards[2].died().await?;
        let told = self.transfer(1, "t", "others", Decide::Paxos)?.run().await.map_err(said)?;
        if !told.is_committed() {
            return Err(format!("one of three acceptors is dead: {told:?}"));
        }
        let asked = tokio::spawn(self.transfer(0, "waits", "own", Decide::Paxos)?.run());
        self.nodes[0].died().await?;
        let until = Instant::now() + FINISHED_WITHIN;
        let lost_before = self.lost_to_the_third().await?;
        // They ask the dead acceptor again and again.
        while self.lost_to_the_third().await? < lost_before + 4 {
            if Instant::now() > until {
                return Err("nobody takes over".into());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let in_doubt = self.in_doubt_at(0..2).await?;
        if in_doubt.len() != 2 {
            return Err(format!("decided without a majority: {in_doubt:?} are in doubt"));
        }
        self.shards[2].start(&[]).await?;
        let until = Instant::now() + FINISHED_WITHIN;
        while !self.in_doubt().await?.is_empty() {
            if Instant::now() > until {
                return Err(format!("still in doubt: {:?}", self.in_doubt().await?));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let told = asked.await.map_err(said)?.map_err(said)?;
        match self.happened("waits").await? {
            // All had voted yes, and one acceptor that lives had accepted that.
            true if !told.is_aborted() => self.check(["t", "waits"]).await,
            happened => Err(format!("happened is {happened}, and the caller was told {told:?}")),
        }
    }

    /// How many messages of the first shard to the third were lost.
    async fn lost_to_the_third(&self) -> Result<u64> {
        let at = self.shards[0].url.strip_prefix("http://").expect("it speaks HTTP");
        let mut socket = TcpStream::connect(at).await.map_err(said)?;
        let request = format!(
            "GET /v1/peers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
             connection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.map_err(said)?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.map_err(said)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let page: serde_json::Value = serde_json::from_str(body).map_err(said)?;
        page["peers"]["third"]["dropped"].as_u64().ok_or_else(|| format!("odd page {page}"))
    }

    /// Moves one from the first shard to the second, by a caller who asks only once.
    fn transfer(&self, node: usize, gid: &str, key: &str, decide: Decide) -> Result<Transaction> {
        let hf = Handfast::builder(&self.nodes[node].url).token(TOKEN);
        let hf = hf.timeout(Duration::ZERO).build();
        let add = |by| {
            let entry = KeyOp::Add { key: format!("entry:{gid}"), by, min: None, max: None };
            vec![KeyOp::Add { key: key.into(), by, min: Some(0), max: None }, entry]
        };
        let transaction = hf.map_err(said)?.transaction(gid).decide(decide).timeout(VOTES_WITHIN);
        Ok(transaction.keys("debit", SHARDS[0], add(-1)).keys("credit", SHARDS[1], add(1)))
    }

    async fn in_doubt(&self) -> Result<Vec<String>> {
        self.in_doubt_at(0..self.shards.len()).await
    }

    async fn in_doubt_at(&self, shards: Range<usize>) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for shard in &self.shards[shards] {
            let shard = Shard::builder(&shard.url).token(TOKEN).build_shard().map_err(said)?;
            all.extend(shard.in_doubt().await.map_err(said)?);
        }
        Ok(all)
    }

    async fn keys(&self, shard: usize) -> Result<BTreeMap<String, ShardValue>> {
        let url = &self.shards[shard].url;
        let shard = Shard::builder(url).token(TOKEN).build_shard().map_err(said)?;
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
