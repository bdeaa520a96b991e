//! What a saga cannot do without, measured bare: a call of the service, and a sync of a log.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{load::Connection, service::Service};
use crate::{Result, median, node};

/// A record about as long as a decision over two branches.
const RECORD: [u8; 260] = [b'x'; 260];
/// The log is written round and round in space that is there, as SQLite does with its WAL.
const LOG_BYTES: u64 = 4 << 20;

/// The median time of one call over a keep-alive connection, in milliseconds.
pub async fn call_ms(seconds: f64) -> Result<f64> {
    let service: Arc<Service> = Service::start(1)?;
    let mut connection = Connection::open(service.port).await?;
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut times = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        connection.post("/bare", "{}".into()).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(times))
}

/// The median time of one synced append, in milliseconds.
pub fn sync_ms(seconds: f64) -> Result<f64> {
    let dir = node::directory()?;
    let file = File::create_new(dir.path().join("bare"))?;
    file.write_all_at(&vec![0; LOG_BYTES as usize], 0)?;
    file.sync_all()?;
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let (mut times, mut at) = (Vec::new(), 0);
    while Instant::now() < until {
        let begun = Instant::now();
        file.write_all_at(&RECORD, at)?;
        rustix::fs::fdatasync(&file)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        at = (at + RECORD.len() as u64) % (LOG_BYTES - RECORD.len() as u64);
    }
    Ok(median(times))
}
