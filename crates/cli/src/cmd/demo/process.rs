//! A process of the demo: this very program, started with other words.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
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
    pub name: String,
    pub args: Vec<OsString>,
    pub url: String,
    /// What it writes, over all its lives.
    pub log: PathBuf,
    pub child: Option<Child>,
}

impl Process {
    /// Starts it and waits until it is ready.
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
        let probe = Handfast::builder(&self.url).build().map_err(|e| e.to_string())?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let answer = probe.ready().await;
            let child = self.child.as_mut().expect("just started");
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("{} ended with {status}:\n{}", self.name, self.last_lines()));
            }
            let Err(why) = answer else { return Ok(()) };
            if Instant::now() > deadline {
                let lines = self.last_lines();
                return Err(format!("{} does not become ready: {why}\n{lines}", self.name));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    fn last_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(LAST_LINES).collect();
        lines.into_iter().rev().map(|line| format!("  {line}\n")).collect()
    }
}

/// Ports that nobody listens on now, outside the range from which systems choose the ports of
/// outgoing connections: there, a client that calls a dead server may be given the server's own
/// port, and so keep it from coming back.
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
