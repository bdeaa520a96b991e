//! Under load: many transfers share a turn and a sync, and somebody dies among them.

use std::time::{Duration, Instant};

use handfast_client::{Error, Handfast, Outcome, Transaction};
use tokio::task::JoinSet;

use super::{
    Result,
    bank::ACCOUNTS,
    case::{Answers, Case},
    said,
    world::{self, World},
};

/// How many callers there are, each with an account of its own.
pub const CALLERS: i64 = 8;
/// Transfers of each.
pub const TRANSFERS: i64 = 12;
/// How long a caller asks under one gid.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where, how often it is passed before, and which bank dies; no bank: the node.
const DEATHS: [(&str, u64, Option<usize>); 6] = [
    ("after_prepare.1", 40, None),
    ("before_sync", 20, None),
    ("after_sync", 20, None),
    ("before_commit.0", 30, None),
    ("after_prepare.0", 30, Some(0)),
    ("before_commit.1", 40, Some(1)),
];

#[test]
fn deaths_under_load() {
    let mut failed = Vec::new();
    for kind in world::available() {
        if kind == world::Kind::TwoPostgres {
            // What it has is in the two others.
            continue;
        }
        let mut world = World::start(kind).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for death in DEATHS {
            let started = Instant::now();
            if let Err(why) = runtime.block_on(run(&mut world, death)) {
                failed.push(format!("{kind:?} {death:?}: {why}"));
            }
            println!("{kind:?} {death:?}: the case took {:?}", started.elapsed());
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

async fn run(world: &mut World, death: (&str, u64, Option<usize>)) -> Result<()> {
    let mut case = Case::new(world)?;
    match story(&mut case, death).await {
        Ok(()) => Ok(()),
        Err(why) => Err(format!("{why}\n{}", case.said())),
    }
}

async fn story(
    case: &mut Case<'_>,
    (point, passed, bank): (&str, u64, Option<usize>),
) -> Result<()> {
    case.open().await?;
    let mut order = vec![("HANDFAST_KILL_AT", format!("{point}:{passed}"))];
    if let Some(bank) = bank {
        let pid = case.banks[bank].pid().await?;
        order.push(("HANDFAST_KILL_PID", pid.as_raw_nonzero().to_string()));
    }
    case.node.start(&order).await?;
    let callers = callers(case)?;
    match bank {
        None => {
            case.node.died().await?;
            case.node.start(&[]).await?;
        }
        Some(bank) => case.banks[bank].die_and_return().await?,
    }
    let answers = answers(callers).await?;
    case.settled(Instant::now()).await?;
    case.check(&answers).await
}

/// Callers at work, each with the answers that it got.
pub type Callers = JoinSet<Result<Answers>>;

/// Starts them. They ask again and again, until they know.
pub fn callers(case: &Case<'_>) -> Result<Callers> {
    const { assert!(CALLERS <= ACCOUNTS) };
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let transfer = |number| case.transfer(&format!("load-{caller}-{number}"), caller, 1);
        let transfers: Vec<Transaction> = (0..TRANSFERS).map(transfer).collect();
        callers.spawn(async move {
            let mut answers = Answers::new();
            for transfer in transfers {
                let gid = transfer.gid().to_owned();
                answers.insert(gid, ask(transfer).await?);
            }
            Ok(answers)
        });
    }
    Ok(callers)
}

/// What all of them were told.
pub async fn answers(mut callers: Callers) -> Result<Answers> {
    let mut answers = Answers::new();
    while let Some(caller) = callers.join_next().await {
        answers.extend(caller.map_err(said)??);
    }
    Ok(answers)
}

async fn ask(transfer: Transaction) -> Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        let why = match transfer.clone().run().await {
            Ok(Outcome::Committed(_)) => return Ok(true),
            Ok(Outcome::Aborted(_)) => return Ok(false),
            Ok(Outcome::Unknown(unknown)) => unknown.why,
            Err(e @ (Error::Unreachable { .. } | Error::Busy(_))) => said(e),
            Err(other) => return Err(said(other)),
        };
        if Instant::now() > until {
            return Err(format!("{} is unknown: {why}", transfer.gid()));
        }
    }
}

/// A client for whoever watches.
pub async fn finished(hf: &Handfast) -> Result<usize> {
    let page = hf.list(&handfast_client::wire::ListFilter::default()).await.map_err(said)?;
    Ok(page.transactions.len())
}
