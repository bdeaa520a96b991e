//! The command line.

mod demo;
mod proof;
mod saga;
mod service;
mod tx;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use handfast_client::wire;

pub use self::{
    demo::{DemoPart, Demos, SagaDemo},
    proof::{Check, Lab, Sim, What},
    saga::{Saga, SagaCommand},
    service::{CheckCommand, CheckService, Checks},
    tx::{Edit, Told, Tx, TxCommand, Wait, Whom},
};
use crate::exit::{Exit, Failure};

/// All of it happens, or none of it does: transactions across databases and services.
#[derive(Parser)]
#[command(name = "handfast", version, max_term_width = 100, subcommand_required = true)]
#[command(after_help = "Exit codes: 0 done, 1 aborted or no, 2 wrong request, 3 outcome unknown, \
                        4 node not reachable, 5 refused, 6 not found, 70 bug. See docs/cli.md.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Results as JSON on stdout.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a node: the coordinator and its API.
    Serve(Serve),
    /// Run a shard: a key-value store that takes part in transactions.
    Shard(Shard),
    /// Move money between two banks while killing everything, then prove that none went missing; or
    /// send orders through services.
    Demo(Demos),
    /// Begin transactions, look at them, and decide what only a person can.
    Tx(Tx),
    /// Keep, check, draw and run sagas as definitions.
    Saga(Saga),
    /// Look at the systems that take part.
    Resource(Resource),
    /// Simulate: walk worlds of the production machines at random, with faults of every kind.
    Sim(Sim),
    /// Prove: walk through every schedule of a small world of the production machines; or check a
    /// service.
    Check(Checks),
    /// Show what commit protocols do and cost: experiments in virtual time, with a report.
    Lab(Lab),
    /// Prepare a service's own database for calls that come twice, too late or out of order.
    Barrier(Barrier),
}

#[derive(Args)]
pub struct Serve {
    /// A TOML file of settings; docs/settings.md lists them all.
    #[arg(long, value_name = "FILE", env = "HANDFAST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the log is kept.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// A system that takes part; repeat it for each.
    #[arg(long, value_name = "NAME=URL")]
    pub resource: Vec<Pair>,
    /// Any setting, such as transaction.timeout_ms=3000; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Pair>,
}

#[derive(Args)]
pub struct Shard {
    /// Where the log is kept.
    #[arg(long, value_name = "DIR", default_value = "./handfast-shard")]
    pub data_dir: PathBuf,
    /// Where to listen; beyond loopback only with a token.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7500")]
    pub listen: String,
    /// Its name, which is the resource's name at every node: needed for three-phase and Paxos
    /// commit.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Another shard with which it finishes transactions when their node is dead; repeatable.
    #[arg(long, value_name = "NAME=URL")]
    pub peer: Vec<Pair>,
    /// The node that is asked what was decided; with a cluster, only about branches of that
    /// cluster. Repeatable.
    #[arg(long, value_name = "[CLUSTER=]URL")]
    pub coordinator: Vec<String>,
    /// A file that holds the token that callers must have.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Its certificate and chain, in PEM: it then speaks HTTPS.
    #[arg(long, value_name = "FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// The authorities that nodes and other shards are verified against, in PEM; the public ones
    /// if absent.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A file that holds the token that the node, or that cluster's node, wants; repeatable.
    #[arg(long, value_name = "[CLUSTER=]FILE")]
    pub coordinator_token_file: Vec<String>,
    /// A file that holds the token that the other shards, or that one, want; repeatable.
    #[arg(long, value_name = "[NAME=]FILE")]
    pub peer_token_file: Vec<String>,
}

#[derive(Args, Clone)]
pub struct Demo {
    /// How many transfers.
    #[arg(long, default_value_t = 2_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub transfers: u32,
    /// How many clients at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub clients: u32,
    /// How many times something is killed.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub kills: u32,
    /// What all choices are made from; the same seed makes the same choices.
    #[arg(long)]
    pub seed: Option<u64>,
    /// A real database instead of a bank of its own, such as checking=postgres://…; give two.
    #[arg(long, value_name = "NAME=URL")]
    pub resource: Vec<Pair>,
    /// How transfers are decided. Other than `log`: two nodes, one of them is killed for good, and
    /// half of the transfers are then run again by `log`, to compare.
    #[arg(long, default_value = "log", conflicts_with = "resource")]
    pub decide: Decide,
    /// Keep the directory, with the logs of all processes.
    #[arg(long)]
    pub keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Decide {
    /// By the log of the node.
    Log,
    /// By a pre-commit round among the banks. May split a transfer when the network partitions or
    /// something is slow.
    ThreePhase,
    /// By a majority of the node and its acceptors.
    Paxos,
}

impl Decide {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::ThreePhase => "three_phase",
            Self::Paxos => "paxos",
        }
    }
}

impl From<Decide> for wire::Decide {
    fn from(decide: Decide) -> Self {
        match decide {
            Decide::Log => Self::Log,
            Decide::ThreePhase => Self::ThreePhase,
            Decide::Paxos => Self::Paxos,
        }
    }
}

#[derive(Args)]
pub struct Node {
    /// The node's address.
    #[arg(long, global = true, value_name = "URL", env = "HANDFAST_SERVER")]
    #[arg(default_value = "http://127.0.0.1:7400")]
    pub server: String,
    /// A file that holds the token; HANDFAST_TOKEN may hold the token itself.
    #[arg(long, global = true, value_name = "FILE", env = "HANDFAST_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// A PEM file of the authorities to trust, instead of the public ones.
    #[arg(long, global = true, value_name = "FILE", env = "HANDFAST_CA_FILE")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct Resource {
    #[command(flatten)]
    pub node: Node,
    #[command(subcommand)]
    pub command: ResourceCommand,
}

#[derive(Subcommand)]
pub enum ResourceCommand {
    /// List the resources: health, prepared branches, oldest in doubt.
    Ls,
    /// Say what keeps a resource from taking part, and the line that mends it.
    Check {
        /// Which; all if none is named.
        names: Vec<String>,
    },
}

#[derive(Args)]
pub struct Barrier {
    #[command(subcommand)]
    pub command: BarrierCommand,
}

#[derive(Subcommand)]
pub enum BarrierCommand {
    /// Write the SQL that makes the barrier's table; it does nothing where the table is there.
    Schema {
        /// Whose SQL.
        #[arg(long = "for", value_name = "DATABASE")]
        database: Database,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Database {
    Postgres,
    /// MariaDB too.
    Mysql,
    Sqlite,
}

/// `name=value`. Taken apart only later, because the parser's complaints repeat what they complain
/// about, and the value may hold a password.
#[derive(Clone)]
pub struct Pair(String);

impl From<String> for Pair {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Pair {
    /// Name and value, both not empty.
    pub fn parts(self, flag: &str) -> Result<(String, String), Failure> {
        match self.0.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                Ok((name.into(), value.into()))
            }
            _ => Err(Failure::new(Exit::Usage, format!("{flag} wants name=value"))),
        }
    }
}
