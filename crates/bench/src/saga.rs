//! Sagas of two steps over a service that does nothing, against dtmrs over each of its stores.
//!
//! What counts are the calls that arrive at the service, not the answers that callers get; after
//! every round each saga must have called each step once, and undone nothing.

mod in_flight;
mod load;
mod mixed;
mod parts;
mod service;
mod systems;

use std::fmt::Write as _;

use crate::{Args, Line, Result, figure, median};
pub use in_flight::run as in_flight;
use load::{Answers, Load, Pace, Round};
use service::Service;
use systems::System;

const CLIENTS: usize = 64;
/// Before it counts: connections open, caches fill.
const WARM_UP_SECONDS: f64 = 1.0;

/// What the rounds of one system gave.
struct Measured {
    system: System,
    /// 64 clients; the next saga begins when the last one is done.
    many: Vec<Round>,
    /// The same for a coordinator that answers early, where the next begins with the answer.
    hurried: Vec<Round>,
    one: Vec<Round>,
    cpu_us_per_saga: Vec<f64>,
    resident_mib: Vec<f64>,
}

/// Measures; the table of the systems is printed, the comparisons are returned.
pub async fn run(args: &Args) -> Result<Vec<Line>> {
    let mut all: Vec<Measured> = Vec::new();
    for system in System::ALL {
        match system.missing(args) {
            Some(missing) => eprintln!("NOT MEASURED: {}: {missing}", system.name()),
            None => all.push(Measured::new(system)),
        }
    }
    let (mut calls, mut syncs) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        calls.push(parts::call_ms(args.seconds / 4.0).await?);
        syncs.push(parts::sync_ms(args.seconds / 4.0)?);
        for measured in &mut all {
            let name = measured.system.name();
            eprintln!("saga: round {round}: {name} …");
            measured.round(args).await.map_err(|error| format!("{name}: {error}"))?;
        }
    }
    println!("{}", table(&all));
    let mut lines = compare(&all, median(calls), median(syncs));
    eprintln!("saga: mixed transactions …");
    lines.extend(mixed::run(args).await?);
    eprintln!("saga: in flight …");
    lines.extend(in_flight::run(args).await?);
    Ok(lines)
}

impl Measured {
    fn new(system: System) -> Self {
        let [many, hurried, one] = [const { Vec::new() }; 3];
        Self { system, many, hurried, one, cpu_us_per_saga: Vec::new(), resident_mib: Vec::new() }
    }

    /// One round over an empty store.
    async fn round(&mut self, args: &Args) -> Result<()> {
        let service = Service::start(CLIENTS)?;
        let running = self.system.start(args, service.port).await?;
        let load = Load::new(running.process.port, running.ask, &service);
        load.round(CLIENTS, Pace::Done, WARM_UP_SECONDS).await?;
        let (cpu, told) = (running.process.cpu_seconds()?, load.told());
        self.many.push(load.round(CLIENTS, Pace::Done, args.seconds).await?);
        let cpu_us = (running.process.cpu_seconds()? - cpu) * 1e6;
        self.cpu_us_per_saga.push(cpu_us / (load.told() - told) as f64);
        self.one.push(load.round(1, Pace::Done, args.seconds / 2.0).await?);
        if running.ask.answers == Answers::Accepted {
            self.hurried.push(load.round(CLIENTS, Pace::Answered, args.seconds).await?);
        }
        self.resident_mib.push(running.process.resident_mib()?);
        service.verify(load.told()).await
    }

    /// The better of the two paces counts.
    fn per_second(&self) -> f64 {
        middle(&self.many, |round| round.per_second)
            .max(middle(&self.hurried, |round| round.per_second))
    }
}

fn middle(rounds: &[Round], figure: fn(&Round) -> f64) -> f64 {
    median(rounds.iter().map(figure).collect())
}

fn table(all: &[Measured]) -> String {
    let mut text = String::from(
        "| coordinator | sagas/s, 64 clients | p50 ms | p99 ms | p50 ms, 1 client | \
         processor µs a saga | MiB resident |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for one in all {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            one.system.name(),
            figure(one.per_second()),
            figure(middle(&one.many, |round| round.p50_ms)),
            figure(middle(&one.many, |round| round.p99_ms)),
            figure(middle(&one.one, |round| round.p50_ms)),
            figure(median(one.cpu_us_per_saga.clone())),
            figure(median(one.resident_mib.clone()))
        );
    }
    text
}

fn compare(all: &[Measured], call_ms: f64, sync_ms: f64) -> Vec<Line> {
    let Some((ours, rivals)) = all.split_first() else { return Vec::new() };
    let line = |rival: &Measured| Line {
        what: format!("saga of two steps, {CLIENTS} clients"),
        ours: ours.per_second(),
        yardstick: rival.per_second(),
        unit: rival.system.unit(),
        aim: rival.system.aim(),
    };
    let mut lines: Vec<Line> = rivals.iter().map(line).collect();
    lines.push(Line {
        what: format!("saga of two steps, {CLIENTS} clients"),
        ours: ours.per_second(),
        yardstick: 12_000.0,
        unit: "sagas/s, against the aim",
        aim: "≥ 1",
    });
    lines.push(Line {
        what: format!("saga of two steps, {CLIENTS} clients: p99"),
        ours: middle(&ours.many, |round| round.p99_ms),
        yardstick: 20.0,
        unit: "ms, against the aim",
        aim: "≤ 1",
    });
    lines.push(Line {
        what: "saga of two steps, 1 client: p50".into(),
        ours: middle(&ours.one, |round| round.p50_ms),
        yardstick: 2.0 * call_ms + 2.0 * sync_ms,
        unit: "ms, against two bare calls and two bare syncs",
        aim: "≤ 3",
    });
    lines
}
