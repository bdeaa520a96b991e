//! A process of an example or demo: this very program, started with other words.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    net::TcpListener,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use handfast_client::Handfast;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

const READY_WITHIN: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
const LAST_LINES: usize = 10;

/// Dropped, it is killed.
pub struct Process {
    /// For people.
    pub name: String,
    /// The words after the program's name.
    pub args: Vec<OsString>,
    /// Where it tells at `/readyz` that it is ready.
    pub url: String,
    /// What it writes, over all its lives.
    pub log: PathBuf,
    /// While it runs.
    pub child: Option<Child>,
}

impl Process {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// In words, with the last lines of what it wrote.
    pub async fn start(&mut self) -> Result<(), String> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(|e| format!("failed to write {}: {e}", self.log.display()))?;
        let spawned = self.command(log).and_then(|mut command| command.spawn());
        let child = spawned.map_err(|e| format!("failed to start {}: {e}", self.name))?;
        self.child = Some(child);
        self.ready().await
    }

    /// SIGKILL: it gets no chance to do anything.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It fails only if the process has ended already.
            let _ = child.kill().await;
        }
    }

    /// SIGSTOP or SIGCONT: it stands still, or goes on.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It fails only if the process has ended already.
            let _ = kill_process(pid, signal);
        }
    }

    fn command(&self, log: File) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(&self.args).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        // The settings of the person's own node are not for these.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HANDFAST_") {
                command.env_remove(name);
            }
        }
        Ok(command)
    }

    async fn ready(&mut self) -> Result<(), String> {
        let child = self.child.as_mut().expect("just started");
        let why = tokio::select! {
            ended = child.wait() => ended_with(ended),
            ready = wait_until_ready(&self.url, READY_WITHIN) => match (ready, child.try_wait()) {
                (Ok(()), Ok(None)) => return Ok(()),
                // Somebody else answers at its address.
                (Ok(()), ended) => ended_with(ended.map(Option::unwrap_or_default)),
                (Err(why), _) => why,
            }
        };
        Err(format!("{} {why}\n{}", self.name, self.last_lines()))
    }

    fn last_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(LAST_LINES).collect();
        lines.into_iter().rev().map(|line| format!("  {line}\n")).collect()
    }
}

fn ended_with(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|e| e.to_string(), |status| format!("ended with {status}"))
}

/// Waits until a node, or a service, says that it is ready.
///
/// # Errors
/// In words.
pub async fn wait_until_ready(url: &str, within: Duration) -> Result<(), String> {
    let probe = Handfast::builder(url).build().map_err(|e| e.to_string())?;
    let deadline = Instant::now() + within;
    while let Err(why) = probe.ready().await {
        if Instant::now() > deadline {
            return Err(format!("does not become ready: {why}"));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(())
}

/// Ports that nobody listens on now, outside the range from which systems choose the ports of
/// outgoing connections: there, a client that calls a dead server may be given the server's own
/// port, and so keep it from coming back.
///
/// # Errors
/// There are none.
pub fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    const FIRST: u16 = 18_000;
    const COUNT: u16 = 12_000;
    // Each demo looks at other ports first.
    let start = (std::process::id() % u32::from(COUNT / N as u16)) as u16 * N as u16;
    let candidates = (0..COUNT).map(|step| FIRST + (start + step) % COUNT);
    let free = candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(N);
    let free: Vec<u16> = free.collect();
    free.try_into().map_err(|_| "there is no free port on 127.0.0.1".into())
}
