//! The coordinators under measurement: Handfast, and dtmrs over each of its stores.
//!
//! dtmrs runs with its own defaults, but for its log, which is off. Each start is over an empty
//! store: old rows would slow it down.

use std::{path::Path, process::Command};

use tempfile::TempDir;
use tokio_postgres::NoTls;

use super::load::{Answers, Ask, Gid};
use crate::{Args, Result, node};

/// Which coordinator, and what it stores in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum System {
    /// Handfast, with its own log.
    Handfast,
    /// dtmrs with a Redis that keeps everything in memory only.
    RedisMemory,
    /// dtmrs with a Redis that syncs every write.
    RedisSynced,
    /// dtmrs with SQLite, as it opens it: `synchronous = NORMAL`, synced at checkpoints only.
    Sqlite,
    /// dtmrs with PostgreSQL, which syncs every commit.
    Postgres,
}

/// A system that runs, over an empty store.
pub struct Running {
    /// The coordinator.
    pub process: node::Process,
    /// How it is asked.
    pub ask: Ask,
    _redis: Option<node::Process>,
    _dir: TempDir,
}

impl System {
    /// All of them, Handfast first.
    pub const ALL: [Self; 5] =
        [Self::Handfast, Self::RedisMemory, Self::RedisSynced, Self::Sqlite, Self::Postgres];

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handfast => "Handfast",
            Self::RedisMemory => "dtmrs, Redis in memory only",
            Self::RedisSynced => "dtmrs, Redis synced",
            Self::Sqlite => "dtmrs, SQLite (not synced)",
            Self::Postgres => "dtmrs, PostgreSQL",
        }
    }

    /// What is counted, and whose it is.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Handfast => "sagas/s",
            Self::RedisMemory => "sagas/s, against dtmrs, Redis in memory only",
            Self::RedisSynced => "sagas/s, against dtmrs, Redis synced",
            Self::Sqlite => "sagas/s, against dtmrs, SQLite (not synced)",
            Self::Postgres => "sagas/s, against dtmrs, PostgreSQL",
        }
    }

    /// What Handfast's ratio to it shall be.
    pub fn aim(self) -> &'static str {
        if self == Self::RedisMemory { "≥ 2" } else { "≥ 10" }
    }

    /// What is missing to run it, if anything is.
    pub fn missing(self, args: &Args) -> Option<&'static str> {
        let redis = matches!(self, Self::RedisMemory | Self::RedisSynced);
        match self {
            Self::Handfast => None,
            _ if args.dtmrs.is_none() => Some("dtmrs is not installed"),
            _ if redis && args.redis.is_none() => Some("redis-server is not on the PATH"),
            Self::Postgres if args.postgres.is_empty() => Some("no PostgreSQL server is given"),
            _ => None,
        }
    }

    /// Starts it; `service` is the port of the service that its sagas call.
    pub async fn start(self, args: &Args, service: u16) -> Result<Running> {
        let dir = node::directory()?;
        let mut redis = None;
        let store = match self {
            Self::Handfast => return handfast(args, dir, service).await,
            Self::RedisMemory | Self::RedisSynced => {
                let process = start_redis(args, dir.path(), self == Self::RedisSynced).await?;
                let url = format!("redis://127.0.0.1:{}", process.port);
                redis = Some(process);
                url
            }
            Self::Sqlite => format!("sqlite:{}", dir.path().join("dtmrs.db").display()),
            Self::Postgres => empty_database(args).await?,
        };
        let (port, grpc) = (node::free_port()?, node::free_port()?);
        let mut program = Command::new(args.dtmrs.as_ref().ok_or("no dtmrs")?);
        program.env("DTMRS_DB", store);
        program.env("DTMRS_ADDR", format!("127.0.0.1:{port}"));
        program.env("DTMRS_GRPC_ADDR", format!("127.0.0.1:{grpc}"));
        program.env("RUST_LOG", "off").current_dir(dir.path());
        let process = node::Process::listening(&mut program, port).await?;
        Ok(Running { process, ask: DTMRS, _redis: redis, _dir: dir })
    }
}

/// How dtmrs is asked for a saga of two steps.
const DTMRS: Ask = Ask {
    path: "/api/dtmsvr/submit",
    body: |gid: Gid, service: u16| {
        let step = |name: &str| {
            format!(
                "{{\"action\":\"http://127.0.0.1:{service}/{name}\",\
                 \"compensate\":\"http://127.0.0.1:{service}/{name}-undo\"}}"
            )
        };
        format!(
            "{{\"gid\":\"{gid}\",\"trans_type\":\"saga\",\"steps\":[{},{}]}}",
            step("one"),
            step("two")
        )
    },
    fine: "SUCCESS",
    answers: Answers::Accepted,
};

/// How Handfast is asked for the same saga.
pub const HANDFAST: Ask = Ask {
    path: "/v1/transactions",
    body: |gid: Gid, _| {
        let step = |name: &str| {
            format!(
                "{{\"name\":\"{name}\",\"resource\":\"noop\",\"kind\":\"step\",\
                 \"do\":\"POST /{name}\",\"undo\":\"POST /{name}-undo\"}}"
            )
        };
        format!("{{\"gid\":\"{gid}\",\"branches\":[{},{}]}}", step("one"), step("two"))
    },
    fine: "\"outcome\":\"committed\"",
    answers: Answers::Done,
};

async fn handfast(args: &Args, dir: TempDir, service: u16) -> Result<Running> {
    let process = start_handfast(args, &dir.path().join("node"), service, &[]).await?;
    Ok(Running { process, ask: HANDFAST, _redis: None, _dir: dir })
}

/// Starts Handfast with the service as the resource `noop`, and with further flags.
pub async fn start_handfast(
    args: &Args,
    data: &Path,
    service: u16,
    flags: &[String],
) -> Result<node::Process> {
    let resource = format!("noop=service+http://127.0.0.1:{service}");
    let mut all = vec!["--resource".to_owned(), resource];
    all.extend_from_slice(flags);
    node::Process::start(&args.binary, "serve", data, &all).await
}

async fn start_redis(args: &Args, dir: &Path, synced: bool) -> Result<node::Process> {
    let port = node::free_port()?;
    let mut program = Command::new(args.redis.as_ref().ok_or("no Redis")?);
    program.args(["--bind", "127.0.0.1", "--port", &port.to_string()]).arg("--dir").arg(dir);
    program.args(["--save", "", "--tcp-backlog", "4096"]);
    if synced {
        program.args(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    node::Process::listening(&mut program, port).await
}

async fn empty_database(args: &Args) -> Result<String> {
    let url = args.postgres.first().ok_or("no PostgreSQL server is given")?;
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("DROP DATABASE IF EXISTS handfast_bench_dtmrs WITH (FORCE)").await?;
    client.batch_execute("CREATE DATABASE handfast_bench_dtmrs").await?;
    let (server, _) = url.rsplit_once('/').ok_or("the server's address has no database")?;
    Ok(format!("{server}/handfast_bench_dtmrs"))
}
