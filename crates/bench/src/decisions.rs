//! The log alone: durable decisions per second, against a bare preallocated file with fdatasync.
//!
//! Both are driven the same way: callers wait for their decision, one thread takes what waits as
//! one batch and makes it durable.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use handfast_core::machine::Summary;
use handfast_log::{Batch, Change, Log, Sqlite, SqliteOptions};

use crate::{Args, Line, Result, median, node};

/// A record about as long as a decision over two branches.
const RECORD_BYTES: usize = 260;

type Waiting = (u64, tokio::sync::oneshot::Sender<()>);

pub fn run(args: &Args) -> Result<Vec<Line>> {
    let dir = node::directory()?;
    let mut log = Sqlite::open(&dir.path().join("log"), SqliteOptions::default())?;
    let file = preallocated(&dir.path().join("bare"))?;
    let record = format!(
        "{{\"kind\":\"decided\",\"filler\":\"{}\"}}",
        "x".repeat(RECORD_BYTES.saturating_sub(32))
    );
    let (mut lines, mut at) = (Vec::new(), 0u64);
    for callers in [1, 64, 512] {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            let mut offset = 0;
            bare.push(rate(callers, args.seconds, |waiting| {
                let bytes = record.repeat(waiting.len());
                // Round and round in the preallocated space: the file never grows.
                if offset + bytes.len() as u64 > PREALLOCATED {
                    offset = 0;
                }
                file.write_all_at(bytes.as_bytes(), offset)?;
                offset += bytes.len() as u64;
                rustix::fs::fdatasync(&file)?;
                Ok(())
            })?);
            let before = log.last_position();
            let mut appended = 0;
            ours.push(rate(callers, args.seconds, |waiting| {
                let mut batch = Batch::default();
                for _ in waiting {
                    at += 1;
                    batch.push(Change {
                        stream: format!("transfer-{at}").into(),
                        records: vec![record.clone()],
                        snapshot: false,
                        open: true,
                        summary: Summary { state: "committing", label: "!1.1 a b".into() },
                    });
                }
                appended += waiting.len() as u64;
                log.append(&batch, 1)?;
                Ok(())
            })?);
            if log.last_position() - before != appended {
                return Err("the log does not hold what was acknowledged".into());
            }
        }
        lines.push(Line {
            what: format!("log alone, {callers} callers"),
            ours: median(ours),
            yardstick: median(bare),
            unit: "decisions/s, against a bare preallocated file",
            aim: "≥ 0.6",
        });
    }
    Ok(lines)
}

const PREALLOCATED: u64 = 64 << 20;

fn preallocated(path: &std::path::Path) -> Result<File> {
    let file = File::options().create_new(true).read(true).write(true).open(path)?;
    let zeros = vec![0; 1 << 20];
    for mebibyte in 0..PREALLOCATED >> 20 {
        file.write_all_at(&zeros, mebibyte << 20)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Decisions per second when `callers` wait, each for one at a time.
fn rate(
    callers: usize,
    seconds: f64,
    mut commit: impl FnMut(&[Waiting]) -> Result<()>,
) -> Result<f64> {
    let (sender, receiver) = mpsc::channel::<Waiting>();
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&stop);
    let asking = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime can be made");
        runtime.block_on(async {
            let tasks = (0..callers).map(|_| {
                let (sender, ended) = (sender.clone(), Arc::clone(&ended));
                async move {
                    while !ended.load(Ordering::Relaxed) {
                        let (done, answered) = tokio::sync::oneshot::channel();
                        if sender.send((0, done)).is_err() || answered.await.is_err() {
                            return;
                        }
                    }
                }
            });
            futures_util::future::join_all(tasks).await;
        });
    });
    let start = Instant::now();
    let until = start + Duration::from_secs_f64(seconds);
    let mut decided = 0;
    while Instant::now() < until {
        let Ok(first) = receiver.recv() else { break };
        let mut waiting = vec![first];
        waiting.extend(receiver.try_iter().take(1023));
        commit(&waiting)?;
        decided += waiting.len();
        for (_, done) in waiting {
            // The caller waits for exactly this.
            let _ = done.send(());
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    drop(receiver);
    asking.join().map_err(|_| "the callers panicked")?;
    Ok(decided as f64 / elapsed)
}
