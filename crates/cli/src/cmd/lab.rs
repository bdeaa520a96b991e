//! `handfast lab`: experiments with the machines in virtual time.

use std::{fs, ops::RangeInclusive, path::Path};

use handfast_sim::lab::{EXPERIMENTS, Experiment, Options, page};

use crate::{
    args::Lab,
    exit::{Exit, Failure},
    output::{Output, table},
};

/// What can be chosen, in ms. The protocols' own timers expect a network about as fast as these.
const ROUND_TRIP_MS: RangeInclusive<f64> = 0.1..=200.0;
const SYNC_MS: RangeInclusive<f64> = 0.0..=100.0;

pub fn run(args: Lab, output: &Output) -> Result<Exit, Failure> {
    let options = options(&args)?;
    for name in &args.experiments {
        if !EXPERIMENTS.iter().any(|(known, _)| known == name) {
            let known: Vec<_> = EXPERIMENTS.iter().map(|(known, _)| *known).collect();
            let what = format!("there is no experiment `{name}`");
            return Err(Failure::new(Exit::Usage, what).cure(known.join(", ")));
        }
    }
    let mut experiments = Vec::new();
    for (name, run) in EXPERIMENTS {
        if args.experiments.is_empty() || args.experiments.iter().any(|wanted| wanted == name) {
            output.talk(&format!("{name} ..."));
            experiments.push(run(&options));
        }
    }
    write(&args.out, &experiments).map_err(|e| {
        Failure::new(Exit::No, format!("failed to write to {}: {e}", args.out.display()))
    })?;
    output.data(&experiments, |experiments| text(experiments));
    output.talk(&format!("the report is {}", args.out.join("index.html").display()));
    Ok(Exit::Ok)
}

fn options(args: &Lab) -> Result<Options, Failure> {
    let us = |flag: &str, ms: f64, allowed: RangeInclusive<f64>| match allowed.contains(&ms) {
        true => Ok((ms * 1_000.0).round() as u64),
        false => {
            let what = format!("{flag} must be {} to {}", allowed.start(), allowed.end());
            Err(Failure::new(Exit::Usage, what))
        }
    };
    Ok(Options {
        seed: args.seed,
        trials: args.trials as usize,
        round_trip_us: us("--round-trip-ms", args.round_trip_ms, ROUND_TRIP_MS)?,
        sync_us: us("--sync-ms", args.sync_ms, SYNC_MS)?,
    })
}

fn write(dir: &Path, experiments: &[Experiment]) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    for Experiment { name, picture, .. } in experiments {
        fs::write(dir.join(format!("{name}.svg")), picture)?;
    }
    fs::write(dir.join("index.html"), page(experiments))
}

fn text(experiments: &[Experiment]) -> String {
    let one = |Experiment { title, text, table: numbers, .. }: &Experiment| {
        format!("{title}\n\n{text}\n\n{}\n", table(&numbers.head, &numbers.rows))
    };
    experiments.iter().map(one).collect::<Vec<_>>().join("\n")
}
