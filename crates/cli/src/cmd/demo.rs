//! `handfast demo`: money moves between two banks while everything is killed again and again; then
//! the proof, transfer by transfer, that none of it was split, lost or made.

mod bank;
mod books;
mod doubt;
mod killer;
mod mysql;
mod plan;
mod postgres;
mod report;
mod saga;
mod settle;
mod teller;
mod world;

use std::{pin::Pin, sync::Arc, time::Instant};

use handfast_example_kit::Screen;

use self::{
    doubt::Watch,
    plan::Plan,
    report::{Comparison, Report, Story},
    world::World,
};
use crate::{
    args::{Decide, Demo, DemoPart, Demos},
    exit::{Exit, Failure},
    output::Output,
};

pub async fn run(args: Demos, output: &Output) -> Result<Exit, Failure> {
    match args.part {
        None => bank(args.bank, output).await,
        Some(DemoPart::Saga(args)) => saga::run(args, output).await,
        Some(DemoPart::Service(args)) => saga::service(args).await,
    }
}

async fn bank(args: Demo, output: &Output) -> Result<Exit, Failure> {
    let pairs = args.resource.iter().cloned().map(|pair| pair.parts("--resource"));
    let resources = pairs.collect::<Result<Vec<_>, _>>()?;
    check(&resources)?;
    // Heard from now on, so that what is started is also removed.
    let mut stop = std::pin::pin!(super::stop_signal()?);
    let mut one = async |plan: Plan| {
        let screen = Arc::new(Screen::new("transfers", plan.transfers.len()));
        let started = match plan.has_two_nodes {
            true => World::start_two(&screen).await,
            false => World::start(&resources, &screen).await,
        };
        let world = started.map_err(|why| Failure::new(Exit::No, why))?;
        run_once(world, &Arc::new(plan), &screen, args.keep, output, stop.as_mut()).await
    };
    let plan = Plan::new(&args);
    let seed = plan.seed;
    output.talk(&format!("seed {seed} (the same seed makes the same choices)"));
    if args.decide == Decide::Log {
        let report = one(plan).await?;
        output.data(&report, Report::text);
        return Ok(if report.holds() { Exit::Ok } else { Exit::No });
    }
    output.talk(&format!("half of the transfers by {}", args.decide.name()));
    let chosen = one(Plan::with_two_nodes(&args, seed, args.decide)).await?;
    output.talk("the other half by log, with the same kills");
    let log = one(Plan::with_two_nodes(&args, seed, Decide::Log)).await?;
    let both = Comparison::new(chosen, log);
    output.data(&both, Comparison::text);
    Ok(if both.holds() { Exit::Ok } else { Exit::No })
}

/// One run, and what follows from it.
async fn run_once(
    mut world: World,
    plan: &Arc<Plan>,
    screen: &Arc<Screen>,
    keep: bool,
    output: &Output,
    stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Report, Failure> {
    let played = tokio::select! {
        played = play(&mut world, plan, screen) => played,
        () = stop => {
            screen.finish();
            let kept = world.end(keep).await.unwrap_or_default();
            return Err(Failure::new(Exit::No, format!("interrupted\n{kept}")));
        }
    };
    screen.finish();
    let report = played.map(|story| Report::new(plan, story));
    // What went wrong is to be looked into: nothing of it is thrown away.
    let keep = keep || !report.as_ref().is_ok_and(Report::holds);
    let kept = world.end(keep).await.unwrap_or_default();
    let report = report.map_err(|why| Failure::new(Exit::No, format!("{why}\n{kept}")))?;
    if !kept.is_empty() {
        output.talk(&kept);
    }
    Ok(report)
}

fn check(resources: &[(String, String)]) -> Result<(), Failure> {
    let wrong = |what: String| {
        let cure = "--resource checking=postgres://… --resource savings=mysql://…";
        Err(Failure::new(Exit::Usage, what).cure(cure))
    };
    match resources {
        [] => return Ok(()),
        [(first, _), (second, _)] if first != second => {}
        _ => return wrong("give two resources with different names, or none".into()),
    }
    match resources.iter().find(|(_, url)| !bank::is_database(url)) {
        Some((name, _)) => wrong(format!("{name} is not a PostgreSQL, MariaDB or MySQL address")),
        None => Ok(()),
    }
}

async fn play(world: &mut World, plan: &Arc<Plan>, screen: &Arc<Screen>) -> Result<Story, String> {
    let banks = world.banks.clone();
    let before = books::total(&banks).await?;
    let began = Instant::now();
    let watch = Watch::start(banks.clone());
    let tellers = teller::open(world, plan, screen)?;
    let kills = killer::run(world, plan, &tellers, screen).await?;
    let mut answers = tellers.join().await?;
    let took = began.elapsed();
    screen.say("all transfers are answered; waiting until nothing is open");
    let left = settle::settle(world, plan, &mut answers).await;
    let longest_in_doubt = watch.stop().await;
    let books = [banks[0].books().await?, banks[1].books().await?];
    let names = [banks[0].name().to_owned(), banks[1].name().to_owned()];
    Ok(Story { names, before, books, answers, kills, left, longest_in_doubt, took })
}
