//! Every stop, every victim, every pair of participants.

use std::time::{Duration, Instant};

use super::{
    REACHED_WITHIN, Result,
    bank::{BALANCE, Bank},
    case::{Answers, Case, known},
    said,
    stops::{HELD, Kind, STOPS, Stop, Victim, Where},
    table::{self, Cells},
    world::{self, World},
};

#[test]
fn every_stop_with_every_victim() {
    let kinds = world::available();
    let done: Vec<(world::Kind, Result<Cells>)> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            kinds.iter().map(|kind| (*kind, scope.spawn(|| all(*kind)))).collect();
        threads.into_iter().map(|(kind, thread)| (kind, thread.join().unwrap())).collect()
    });
    let mut cells = Cells::new();
    let mut failed = Vec::new();
    for (kind, done) in done {
        match done {
            Ok(of_kind) => cells.extend(of_kind),
            Err(why) => failed.push(format!("{kind:?}: {why}")),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    if kinds == world::Kind::ALL && only().is_empty() {
        table::compare(table::TRANSFERS, &table::render(&cells));
    }
}

/// What the names of the wanted cases contain.
pub fn only() -> String {
    std::env::var("HANDFAST_TEST_STOP").unwrap_or_default()
}

/// All cases over one pair, one after the other.
fn all(kind: world::Kind) -> Result<Cells> {
    let mut world = World::start(kind)?;
    // Cases run on this very thread, which the servers' restart demands.
    let runtime = tokio::runtime::Runtime::new().map_err(said)?;
    let mut cells = Cells::new();
    let mut failed = Vec::new();
    for (row, stop) in STOPS.iter().enumerate() {
        let possible = stop.at == Where::Node || kind == world::Kind::Shards;
        for victim in stop.victims.iter().filter(|_| possible) {
            let name = format!("{kind:?} {:?} {} {victim:?}", stop.kind, stop.point);
            if !name.contains(&only()) {
                continue;
            }
            let started = Instant::now();
            match runtime.block_on(run(&mut world, stop, *victim)) {
                Ok(cell) => {
                    println!("{name}: {cell} (the case took {:?})", started.elapsed());
                    let cell = if is_open(stop, kind, *victim) { either(&cell) } else { cell };
                    cells.insert((row, kind, *victim), cell);
                }
                Err(why) => {
                    println!("{name}: FAILED: {why}");
                    failed.push(format!("{name}: {why}"));
                }
            }
        }
    }
    if failed.is_empty() { Ok(cells) } else { Err(failed.join("\n")) }
}

/// Whether commit and abort are both right: the sessions of PostgreSQL outlive its main process for
/// a moment, in which work that comes together with its PREPARE may still be done.
fn is_open(stop: &Stop, kind: world::Kind, victim: Victim) -> bool {
    let bank = bank_of(victim).filter(|bank| kind.names()[*bank] == "PostgreSQL");
    bank.is_some() && stop.point.starts_with("before_prepare")
}

fn either(cell: &str) -> String {
    cell.replace("commit,", "either,").replace("abort,", "either,")
}

async fn run(world: &mut World, stop: &Stop, victim: Victim) -> Result<String> {
    let mut case = Case::new(world)?;
    match story(&mut case, stop, victim).await {
        Ok(cell) => Ok(cell),
        Err(why) => Err(format!("{why}\n{}", case.said())),
    }
}

async fn story(case: &mut Case<'_>, stop: &Stop, victim: Victim) -> Result<String> {
    open(case, stop, victim).await?;
    for number in 1..=HELD {
        case.hold(&format!("held-{number}"), number.cast_signed()).await?;
    }
    let amount = match stop.kind {
        Kind::Commits => 100,
        Kind::Aborts => BALANCE + 1,
    };
    let transfer = case.transfer("the-one", 0, amount);
    let caller = tokio::spawn(transfer.clone().run());
    // The victim dies and comes back; the caller of a dead node gives up.
    let told = match bank_of(victim) {
        None => {
            case.node.died().await?;
            caller.abort();
            case.node.start(&[]).await?;
            // Not an answer, but `None`, if it was still waiting.
            caller.await.ok()
        }
        Some(bank) => {
            case.banks[bank].die_and_return().await?;
            let answer = tokio::time::timeout(REACHED_WITHIN, caller).await;
            answer.map_err(|_| "the caller was left without an answer")?.ok()
        }
    };
    let up = Instant::now();
    let found = case.found("the-one").await?;
    if let Some(told) = told {
        let told = known("the-one", told.map_err(said)?)?;
        same("the caller was told otherwise", Some(told), found)?;
    }
    let answer = known("the-one", transfer.clone().run().await.map_err(said)?)?;
    same("the retry says otherwise", found.or(Some(answer)), Some(answer))?;
    if stop.kind == Kind::Aborts && answer {
        return Err("an overdraft was committed".into());
    }
    let mut answers = Answers::from([("the-one".to_owned(), answer)]);
    finish_held(case, victim, &mut answers).await?;
    let settled = case.settled(up).await?;
    case.check(&answers).await?;
    let again = known("the-one", transfer.run().await.map_err(said)?)?;
    same("asked again, the answer is another", Some(answer), Some(again))?;
    Ok(cell(word(found), settled))
}

/// Starts everything; the right process gets the order to kill.
async fn open(case: &mut Case<'_>, stop: &Stop, victim: Victim) -> Result<()> {
    let mut order = vec![("HANDFAST_KILL_AT", format!("{}:{}", stop.point, stop.passed + 1))];
    if let (Where::Shard, Some(bank)) = (stop.at, bank_of(victim)) {
        let Bank::Shard(shard) = &mut case.banks[bank] else { return Err("not a shard".into()) };
        shard.variables = std::mem::take(&mut order);
    }
    case.open().await?;
    if let (Where::Node, Some(bank)) = (stop.at, bank_of(victim)) {
        let pid = case.banks[bank].pid().await?;
        order.push(("HANDFAST_KILL_PID", pid.as_raw_nonzero().to_string()));
    }
    case.node.start(&order).await
}

/// The callers of those held say commit and abort, in turn. What a dead node had not decided is
/// aborted already.
async fn finish_held(case: &Case<'_>, victim: Victim, answers: &mut Answers) -> Result<()> {
    for number in 1..=HELD {
        let gid = format!("held-{number}");
        let wanted = number % 2 == 1;
        let told = match wanted {
            true => case.hf.commit(&gid, "").await,
            false => case.hf.abort(&gid, "").await,
        };
        let is_lost = victim == Victim::Node;
        let answer = match told {
            Ok(outcome) => known(&gid, outcome)?,
            Err(handfast_client::Error::NotFound(_)) if is_lost => false,
            Err(other) => return Err(format!("{gid}: {other}")),
        };
        same(&format!("{gid} ended otherwise"), Some(wanted && !is_lost), Some(answer))?;
        answers.insert(gid, answer);
    }
    Ok(())
}

fn bank_of(victim: Victim) -> Option<usize> {
    match victim {
        Victim::Node => None,
        Victim::Debit => Some(0),
        Victim::Credit => Some(1),
    }
}

fn same(otherwise: &str, wanted: Option<bool>, got: Option<bool>) -> Result<()> {
    match wanted == got {
        true => Ok(()),
        false => Err(format!("{otherwise}: {} and {}", word(wanted), word(got))),
    }
}

pub fn word(found: Option<bool>) -> &'static str {
    match found {
        Some(true) => "commit",
        Some(false) => "abort",
        None => "none",
    }
}

/// What was found, and how long it took until nothing was in doubt.
pub fn cell(found: &str, settled: Duration) -> String {
    format!("{found}, {} ms", settled.as_millis())
}
