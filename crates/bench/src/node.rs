//! Processes under measurement, in directories of their own.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use handfast_client::Handfast;
use tempfile::TempDir;

use crate::Result;

/// A running process; killed with SIGKILL when dropped.
pub struct Process {
    child: Child,
    /// Where on this machine it listens.
    pub port: u16,
    /// Its base address.
    pub url: String,
}

impl Process {
    /// Starts `handfast <command> --data-dir dir --listen … args`, and waits until it is ready.
    pub async fn start(binary: &Path, command: &str, dir: &Path, args: &[String]) -> Result<Self> {
        let port = free_port()?;
        let mut program = Command::new(binary);
        program.arg(command).arg("--data-dir").arg(dir);
        program.args(["--listen", &format!("127.0.0.1:{port}")]).args(args);
        program.env("HANDFAST_LOG_LEVEL", "warn");
        let process = Self::listening(&mut program, port).await?;
        let client = Handfast::builder(&process.url).timeout(Duration::from_secs(1)).build()?;
        let start = Instant::now();
        while client.ready().await.is_err() {
            if start.elapsed() > Duration::from_secs(60) {
                return Err(format!("`{command}` did not become ready").into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(process)
    }

    /// Starts any program, and waits until it takes connections at `port`.
    pub async fn listening(program: &mut Command, port: u16) -> Result<Self> {
        let name = program.get_program().display().to_string();
        let child = program.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut process = Self { child, port, url: format!("http://127.0.0.1:{port}") };
        let start = Instant::now();
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("{name} ended: {status}").into());
            }
            if start.elapsed() > Duration::from_secs(60) {
                return Err(format!("{name} takes no connections").into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(process)
    }

    /// Resident memory, in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)).ok_or("no VmRSS")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }

    /// Processor time that it has used so far, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        /// What Linux counts in, for every program and on every machine.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may hold spaces; user and system time are 12th and 13th after.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<std::result::Result<f64, _>>()? / TICKS_PER_SECOND)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: a benchmark's log is not worth a graceful stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free, below those that the kernel gives to outgoing connections: with thousands
/// of those, one would sooner or later sit on the port before its server does.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    for _ in 0..1000 {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port".into())
}

/// A directory for one process.
pub fn directory() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("handfast-bench-").tempdir()?)
}
