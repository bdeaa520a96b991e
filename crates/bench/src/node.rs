//! Processes of the binary under measurement, in directories of their own.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use handfast_client::Handfast;
use tempfile::TempDir;

use crate::Result;

/// A running process; killed with SIGKILL when dropped.
pub struct Process {
    child: Child,
    /// Its base address.
    pub url: String,
}

impl Process {
    /// Starts `handfast <command> --data-dir dir --listen … args`, and waits until it is ready.
    pub async fn start(binary: &Path, command: &str, dir: &Path, args: &[String]) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let child = Command::new(binary)
            .arg(command)
            .arg("--data-dir")
            .arg(dir)
            .args(["--listen", &listen])
            .args(args)
            .env("HANDFAST_LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let process = Self { child, url: format!("http://{listen}") };
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

    /// Resident memory, in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)).ok_or("no VmRSS")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: a benchmark's log is not worth a graceful stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory for one process.
pub fn directory() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("handfast-bench-").tempdir()?)
}
