//! The `handfast` command, run as users run it.
#![allow(clippy::unwrap_used)]

mod demo;
mod demo_saga;
#[cfg(feature = "kill-points")]
mod kill;
mod node;
mod proof;
mod saga;
mod serve;
mod service;
mod show;
mod tx;
mod usage;

use std::process::{Command, Output};

const HANDFAST: &str = env!("CARGO_BIN_EXE_handfast");

/// The command, without the variables of whoever runs the tests.
fn handfast(args: &[&str]) -> Command {
    program(HANDFAST, args)
}

/// Another program, in the same way.
fn program(path: &str, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(args);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HANDFAST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Its exit code, stdout and stderr.
fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn run(args: &[&str]) -> (i32, String, String) {
    ended(handfast(args).output().unwrap())
}
