//! Many sagas in flight: the memory that they take, and how soon they end after a `kill -9`.
//!
//! The service holds every one of them up: half in the first step, half in the second.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;

use super::{
    CLIENTS,
    load::{Connection, Gid, Load, Pace, Round, contains},
    service::{Marks, Service},
    systems::{self, start_handfast},
};
use crate::{Args, Line, Result, node};

const MANY: usize = 100_000;
const KILLED: usize = 10_000;
/// Most time for the service to see them all, and for all of them to end.
const WITHIN: Duration = Duration::from_secs(120);

/// Both measurements.
pub async fn run(args: &Args) -> Result<Vec<Line>> {
    let dir = node::directory()?;
    let mut lines = vec![memory(args, &dir.path().join("many")).await?];
    lines.extend(killed(args, &dir.path().join("killed")).await?);
    Ok(lines)
}

/// The node's memory with 100,000 sagas that wait for their service.
async fn memory(args: &Args, data: &Path) -> Result<Line> {
    let service = holding()?;
    let process = start_handfast(args, data, service.port, &more_open()).await?;
    begin(process.port, MANY, r#","retry":{"within_ms":600000}"#).await?;
    until(|| marks(&service, |marks| marks.held.len()) == MANY, "not all are held up").await?;
    let resident = process.resident_mib()?;
    service.holds.store(false, Ordering::Relaxed);
    until(|| marks(&service, |marks| marks.finished.len()) == MANY, "not all ended").await?;
    service.verify(MANY as u64).await?;
    Ok(Line {
        what: format!("{MANY} sagas in flight"),
        ours: resident,
        yardstick: 100.0,
        unit: "MiB resident, against the aim",
        aim: "≤ 1",
    })
}

/// `kill -9` with 10,000 sagas in flight; the service is well again when the node starts.
async fn killed(args: &Args, data: &Path) -> Result<Vec<Line>> {
    let (service, others) = (holding()?, Service::start(1)?);
    let mut flags = more_open();
    flags.extend(["--resource".into(), format!("other=service+http://127.0.0.1:{}", others.port)]);
    let process = start_handfast(args, data, service.port, &flags).await?;
    let numbers = begin(process.port, KILLED, "").await?;
    until(|| marks(&service, |marks| marks.held.len()) == KILLED, "not all are held up").await?;
    drop(process);
    service.holds.store(false, Ordering::Relaxed);
    let restart = Instant::now();
    let process = start_handfast(args, data, service.port, &flags).await?;
    // Somebody else's sagas, at a service of their own, for as long as it lasts.
    let meanwhile = tokio::spawn(other_caller(process.port, Arc::clone(&others), 0.5));
    until(|| marks(&service, |marks| marks.finished.len()) == KILLED, "not all ended").await?;
    let seconds = restart.elapsed().as_secs_f64();
    let meanwhile = meanwhile.await??;
    all_committed(process.port, &numbers).await?;
    if service.counts.undo.load(Ordering::Relaxed) > 0 {
        return Err("a saga was undone".into());
    }
    let calm = other_caller(process.port, others, 0.5).await?;
    Ok(vec![
        Line {
            what: format!("kill with {KILLED} sagas in flight: restart to all ended"),
            ours: seconds,
            yardstick: 5.0,
            unit: "s, against the aim",
            aim: "≤ 1",
        },
        Line {
            what: "another service's sagas in the first 0.5 s of it: p50".into(),
            ours: meanwhile.p50_ms,
            yardstick: calm.p50_ms,
            unit: "ms, against afterwards",
            aim: "near 1",
        },
    ])
}

fn holding() -> Result<Arc<Service>> {
    let service = Service::start(0)?;
    service.holds.store(true, Ordering::Relaxed);
    *service.marks() = Some(Marks::default());
    Ok(service)
}

fn more_open() -> Vec<String> {
    vec!["--set".into(), format!("open_max={}", 2 * MANY)]
}

/// Begins so many sagas, without waiting for their ends; returns their names.
async fn begin(port: u16, sagas: usize, retry: &str) -> Result<Vec<Gid>> {
    let clients = (0..CLIENTS).map(|client| async move {
        let mut connection = Connection::open(port).await?;
        let mut gids = Vec::new();
        for _ in (client..sagas).step_by(CLIENTS) {
            let gid = Gid::next(client);
            let body = (systems::HANDFAST.body)(gid, 0);
            let body = body.replacen('{', r#"{"wait":"none","#, 1);
            let body = body.replace(r#","undo":"#, &format!(r#"{retry},"undo":"#));
            connection.post(systems::HANDFAST.path, body).await?;
            gids.push(gid);
        }
        Result::Ok(gids)
    });
    Ok(try_join_all(clients).await?.concat())
}

async fn all_committed(port: u16, gids: &[Gid]) -> Result<()> {
    let mut connection = Connection::open(port).await?;
    for gid in gids {
        let start = Instant::now();
        let path = format!("{}/{gid}", systems::HANDFAST.path);
        while !contains(&connection.get(&path).await?, systems::HANDFAST.fine) {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(format!("{gid} is not committed").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

/// One client in a closed loop, over the resource `other`.
async fn other_caller(port: u16, service: Arc<Service>, seconds: f64) -> Result<Round> {
    let mut ask = systems::HANDFAST;
    ask.body = |gid, port| (systems::HANDFAST.body)(gid, port).replace("noop", "other");
    Load::new(port, ask, &service).round(1, Pace::Done, seconds).await
}

fn marks(service: &Service, of: impl Fn(&Marks) -> usize) -> usize {
    service.marks().as_ref().map_or(0, of)
}

async fn until(done: impl Fn() -> bool, otherwise: &str) -> Result<()> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > WITHIN {
            return Err(otherwise.into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
