//! Transfers between two shards, against what this machine can do at all: no-op HTTP exchanges per
//! second, divided by the five exchanges that a transfer needs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use handfast_client::{Handfast, Shard, ShardValue, wire::KeyOp};

use crate::{Args, Line, Result, median, node};

const ACCOUNTS: u64 = 10_000;
const BALANCE: i64 = 1_000;
const CLIENTS: usize = 64;

pub async fn run(args: &Args) -> Result<Vec<Line>> {
    let dir = node::directory()?;
    let mut shards = Vec::new();
    let mut flags = Vec::new();
    let values: BTreeMap<_, _> =
        (0..ACCOUNTS).map(|n| (format!("account:{n}"), ShardValue::Int(BALANCE))).collect();
    for name in ["left", "right"] {
        // Nobody asks here: without crashes a shard has no reason to ask a coordinator.
        let shard =
            node::Process::start(&args.binary, "shard", &dir.path().join(name), &[]).await?;
        Shard::builder(&shard.url).build_shard()?.load(&values).await?;
        flags.extend(["--resource".into(), format!("{name}={}", shard.url)]);
        shards.push(shard);
    }
    flags.extend(["--set".into(), "resources.left.connections_max=128".into()]);
    flags.extend(["--set".into(), "resources.right.connections_max=128".into()]);
    let process =
        node::Process::start(&args.binary, "serve", &dir.path().join("node"), &flags).await?;
    let handfast = Handfast::connect(&process.url).await?;
    let moved = Arc::new(AtomicU64::new(0));
    let (mut transfers, mut exchanges) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        exchanges.push(no_op_exchanges(&handfast, args.seconds).await?);
        transfers.push(self::transfers(&handfast, &moved, args.seconds).await?);
    }
    verify(&shards, moved.load(Ordering::Relaxed)).await?;
    Ok(vec![Line {
        what: format!("2 shards, {CLIENTS} clients"),
        ours: median(transfers),
        yardstick: median(exchanges) / 5.0,
        unit: "transfers/s, against no-op HTTP exchanges/s ÷ 5",
        aim: "≥ 0.4",
    }])
}

async fn no_op_exchanges(handfast: &Handfast, seconds: f64) -> Result<f64> {
    let handfast = handfast.clone();
    rate(seconds, move |_| {
        let handfast = handfast.clone();
        async move { Ok(handfast.ready().await?) }
    })
    .await
}

async fn transfers(handfast: &Handfast, moved: &Arc<AtomicU64>, seconds: f64) -> Result<f64> {
    let (handfast, moved) = (handfast.clone(), Arc::clone(moved));
    rate(seconds, move |number| {
        let (handfast, moved) = (handfast.clone(), Arc::clone(&moved));
        async move {
            let key = format!("account:{}", number.wrapping_mul(7_919) % ACCOUNTS);
            let add = |by| KeyOp::Add { key: key.clone(), by, min: None, max: None };
            let transaction = handfast.new_transaction();
            let transaction = transaction.keys("debit", "left", vec![add(-1)]).keys(
                "credit",
                "right",
                vec![add(1)],
            );
            let outcome = transaction.run().await?;
            if !outcome.is_committed() {
                return Err(format!("not committed: {outcome:?}").into());
            }
            moved.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    })
    .await
}

/// How often per second `CLIENTS` callers get `work` done.
async fn rate<F>(seconds: f64, work: impl Fn(u64) -> F + Clone + Send + 'static) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send,
{
    let last = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let until = start + Duration::from_secs_f64(seconds);
    let tasks = (0..CLIENTS).map(|_| {
        let (work, last) = (work.clone(), Arc::clone(&last));
        tokio::spawn(async move {
            let mut done = 0u64;
            while Instant::now() < until {
                work(last.fetch_add(1, Ordering::Relaxed)).await?;
                done += 1;
            }
            Result::Ok(done)
        })
    });
    let mut done = 0;
    for task in join_all(tasks).await {
        done += task??;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

/// Every transfer that was told to be committed is in both shards, and nothing else.
async fn verify(shards: &[node::Process], moved: u64) -> Result<()> {
    let moved = i64::try_from(moved)?;
    let whole = i64::try_from(ACCOUNTS)? * BALANCE;
    for (shard, expected) in shards.iter().zip([whole - moved, whole + moved]) {
        let shard = Shard::builder(&shard.url).build_shard()?;
        let start = Instant::now();
        while !shard.in_doubt().await?.is_empty() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err("branches stay prepared".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let keys = shard.keys("account:").await?;
        let amount = |value: &ShardValue| match value {
            ShardValue::Int(amount) => *amount,
            _ => 0,
        };
        let found: i64 = keys.values().map(amount).sum();
        if found != expected {
            return Err(format!("the books say {found}, the callers {expected}").into());
        }
    }
    Ok(())
}
