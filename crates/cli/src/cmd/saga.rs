//! `handfast saga`: sagas as definitions.

mod page;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use handfast_client::{
    Handfast, Outcome,
    wire::{FindingLevel, RunSaga, SagaDefinition, SagaFinding, Wait},
};

use super::{client, file, tx};
use crate::{
    args::{Saga, SagaCommand},
    exit::{Exit, Failure},
    output::{Output, now_ms},
};

pub async fn run(args: Saga, output: &Output) -> Result<Exit, Failure> {
    let hf = || client(&args.node);
    match args.command {
        SagaCommand::Apply { file } => apply(&hf()?, &file, output).await,
        SagaCommand::Ls => {
            output.data(&hf()?.sagas().list().await?, |sagas| page::lines(sagas, now_ms()));
            Ok(Exit::Ok)
        }
        SagaCommand::Show { name, version } => {
            let saga = hf()?.sagas().get(&name, version).await?;
            output.data(&saga, page::saga);
            Ok(Exit::Ok)
        }
        SagaCommand::Lint { file, strict } => lint(&file, strict, output),
        SagaCommand::Run { name, input, gid, version, wait } => {
            let input = input.map(|input| file::json("--input", &input)).transpose()?;
            let run = RunSaga { gid, input, version, ..RunSaga::default() };
            begin(&hf()?, &name, run, wait.map(Duration::from_secs), output).await
        }
        SagaCommand::Graph { what, version, tx, out } => {
            let svg = match (tx, what) {
                (Some(gid), _) => handfast_saga::graph_of(&hf()?.get(&gid).await?),
                (None, Some(what)) => {
                    let definition = match is_file(&what) {
                        true => file::parsed(Path::new(&what))?,
                        false => hf()?.sagas().get(&what, version).await?.definition,
                    };
                    handfast_saga::graph(&definition).map_err(|found| cannot_run(&found))?
                }
                (None, None) => unreachable!("the parser wants one of them"),
            };
            match out {
                Some(file) => save(&file, &svg, output)?,
                None => output.data(&svg, String::clone),
            }
            Ok(Exit::Ok)
        }
    }
}

/// Writes a picture to a file.
pub(super) fn save(file: &Path, svg: &str, output: &Output) -> Result<(), Failure> {
    std::fs::write(file, svg).map_err(|cause| {
        Failure::new(Exit::No, format!("failed to write to {}: {cause}", file.display()))
    })?;
    output.talk(&format!("the picture is in {}", file.display()));
    Ok(())
}

async fn apply(hf: &Handfast, file: &Path, output: &Output) -> Result<Exit, Failure> {
    let definition: SagaDefinition = file::parsed(file)?;
    // The node checks it too, but tells only the first error.
    let errors = handfast_saga::validate(&definition);
    if !errors.is_empty() {
        return Err(cannot_run(&errors));
    }
    let saga = hf.sagas().apply(&definition).await?;
    output.data(&saga, page::applied);
    Ok(Exit::Ok)
}

fn lint(file: &Path, strict: bool, output: &Output) -> Result<Exit, Failure> {
    let findings = match file::described(file)? {
        Ok(definition) => handfast_saga::lint(&definition),
        Err(unreadable) => vec![SagaFinding {
            level: FindingLevel::Error,
            code: "unreadable".into(),
            branch: None,
            message: unreadable.to_string(),
            better: String::new(),
        }],
    };
    output.data(&findings, |findings| page::verdict(&file.display().to_string(), findings));
    let worst = findings.iter().map(|finding| finding.level).max();
    let bad = if strict { FindingLevel::Warning } else { FindingLevel::Error };
    Ok(if worst >= Some(bad) { Exit::No } else { Exit::Ok })
}

async fn begin(
    hf: &Handfast,
    name: &str,
    mut run: RunSaga,
    wait: Option<Duration>,
    output: &Output,
) -> Result<Exit, Failure> {
    let Some(within) = wait else {
        run.wait = Some(Wait::None);
        let outcome = hf.sagas().run(name, &run, Duration::ZERO).await?;
        return Ok(tx::tell_taken(hf, outcome, output).await);
    };
    let deadline = Instant::now() + within;
    let mut outcome = hf.sagas().run(name, &run, within).await?;
    if let Outcome::Unknown(unknown) = &outcome {
        let left = deadline.saturating_duration_since(Instant::now());
        outcome = hf.wait(&unknown.gid.clone(), left).await?;
    }
    Ok(tx::tell(hf, outcome, output, Exit::Ok, Exit::No).await)
}

/// A saga's name holds no slash; a file without one is told by its ending, or by being there.
fn is_file(what: &str) -> bool {
    let ending = [".yaml", ".yml", ".json"].iter().any(|ending| what.ends_with(ending));
    ending || what == "-" || what.contains('/') || Path::new(what).is_file()
}

fn cannot_run(errors: &[SagaFinding]) -> Failure {
    let what = format!("the saga cannot run\n{}", page::findings(errors).trim_end());
    let failure = Failure::new(Exit::Usage, what);
    failure.cure("docs/sagas.md explains what is in [brackets]")
}
