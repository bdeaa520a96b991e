//! The `handfast` command.

mod args;
mod cmd;
mod exit;
mod output;

use std::{panic::AssertUnwindSafe, process::ExitCode};

use clap::Parser as _;

use crate::{
    args::{CheckCommand, Checks, Cli, Command},
    exit::{Exit, Failure},
    output::Output,
};

/// Transactions are many small allocations on several threads; the system's allocator takes a sixth
/// of the processor's time there, this one a third of that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let output = Output::new(cli.json);
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| run(cli.command, &output)));
    match ended {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            output.failure(&failure);
            failure.exit.into()
        }
        // The panic's message is on stderr already.
        Err(_) => Exit::Bug.into(),
    }
}

/// One processor less than there are: the partition's thread keeps one busy by itself.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |all| (all.get() - 1).max(1))
}

fn run(command: Command, output: &Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::No, format!("failed to start: {e}")))?;
    runtime.block_on(async {
        match command {
            Command::Serve(args) => cmd::serve::run(args).await,
            Command::Shard(args) => cmd::shard::run(args).await,
            Command::Demo(args) => cmd::demo::run(args, output).await,
            Command::Tx(args) => cmd::tx::run(args, output).await,
            Command::Saga(args) => cmd::saga::run(args, output).await,
            Command::Resource(args) => cmd::resource::run(args, output).await,
            Command::Sim(args) => cmd::sim::run(args, output),
            Command::Check(Checks { other: Some(CheckCommand::Service(args)), .. }) => {
                cmd::check_service::run(args, output).await
            }
            Command::Check(Checks { world, .. }) => {
                cmd::check::run(world.expect("clap wants what to check"), output)
            }
            Command::Lab(args) => cmd::lab::run(args, output),
            Command::Barrier(args) => cmd::barrier::run(args, output),
        }
    })
}
