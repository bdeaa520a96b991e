//! A node, a shard or a service as a process, killed and started again over the same data.

use std::{
    fs::OpenOptions,
    net::TcpListener,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Instant,
};

use handfast_client::Handfast;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::{BETWEEN_LOOKS, REACHED_WITHIN, Result, said};
use crate::{HANDFAST, program};

/// Dropped, it is killed.
pub struct Process {
    program: &'static str,
    args: Vec<String>,
    pub url: String,
    data: String,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A node or a shard, as the words say.
    pub fn new(directory: &Path, name: &str, words: &[&str]) -> Self {
        Self::of(HANDFAST, directory, name, words)
    }

    /// Of any program that takes `--listen` and `--data-dir`.
    pub fn of(program: &'static str, directory: &Path, name: &str, words: &[&str]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let data = directory.join(name).to_str().unwrap().to_owned();
        let own = ["--listen", &listen, "--data-dir", &data];
        let args = [words, &own].concat().into_iter().map(str::to_owned).collect();
        let log = directory.join(format!("{name}.log"));
        Self { program, args, url: format!("http://{listen}"), data, log, child: None }
    }

    /// Adds to its command line.
    pub fn arg(&mut self, words: [&str; 2]) {
        self.args.extend(words.map(str::to_owned));
    }

    /// Starts it with these variables, and waits until it is ready.
    pub async fn start(&mut self, variables: &[(&str, String)]) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).map_err(said)?;
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let mut command = Command::from(program(self.program, &args));
        command.envs(variables.iter().cloned()).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(said)?).stderr(log);
        self.child = Some(command.spawn().map_err(said)?);
        let probe = Handfast::builder(&self.url).build().map_err(said)?;
        let until = Instant::now() + REACHED_WITHIN;
        while let Err(why) = probe.ready().await {
            let ended = self.child().try_wait().map_err(said)?;
            if ended.is_some() || Instant::now() > until {
                return Err(format!("{} is not ready: {why}, {ended:?}", self.url));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    pub fn pid(&mut self) -> Pid {
        let pid = self.child().id().expect("it runs");
        Pid::from_raw(pid.cast_signed()).expect("not zero")
    }

    /// Waits until SIGKILL ends it.
    pub async fn died(&mut self) -> Result<()> {
        let status = self.ended().await?;
        match status.signal() {
            Some(signal) if signal == Signal::KILL.as_raw() => Ok(()),
            _ => Err(format!("{} ended by itself: {status}", self.url)),
        }
    }

    /// Waits until it ends.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(REACHED_WITHIN, self.child().wait()).await;
        ended.map_err(|_| format!("{} did not end", self.url))?.map_err(said)
    }

    /// Its data directory.
    pub fn data(&self) -> String {
        self.data.clone()
    }

    pub fn signal(&mut self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// What it wrote, over all its lives.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(40).collect();
        lines.into_iter().rev().map(|line| format!("    {line}\n")).collect()
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was started")
    }
}

/// A port that nobody listens on. Not from the range of outgoing connections: a client that calls
/// a dead server might be given the server's own port there, and keep it from coming back.
fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 8_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
