//! Child processes that never outlive us.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::Result;

/// How long a process may take to stop, and its descendants to close its output.
const GRACE: Duration = Duration::from_secs(5);
/// How often a wait looks at the clock and at Ctrl-C.
const TICK: Duration = Duration::from_millis(50);

/// Set by Ctrl-C, SIGTERM or SIGHUP. Whoever waits looks at it, and leaves the ordinary way, so
/// that everything is stopped and removed by its `Drop`. By default it never comes.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen.
    pub fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in
            [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
        {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// Fails once a signal came.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::SeqCst) { Err("interrupted".into()) } else { Ok(()) }
    }

    /// Waits for a signal, or until `wanted` says no.
    pub fn wait_while(&self, mut wanted: impl FnMut() -> bool) {
        while self.check().is_ok() && wanted() {
            thread::sleep(TICK);
        }
    }
}

/// Which of its two outputs a process wrote a line to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The standard output.
    Out,
    /// The standard error.
    Err,
}

/// A process in a group of its own, stopped when dropped.
pub struct Running {
    child: Child,
    stop: Signal,
}

impl Running {
    /// Starts it. `stop` is the signal that ends it at once and cleanly.
    pub fn spawn(command: &mut Command, stop: Signal) -> Result<Self> {
        let child = command
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        Ok(Self { child, stop })
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Errors below mean that it is gone already, which is what we want.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(self.pid(), self.stop);
            let until = Instant::now() + GRACE;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and hands over every line it writes, in order of arrival.
///
/// Fails if it was interrupted or took longer than `limit`; the whole group is killed then.
pub fn follow(
    command: &mut Command,
    interrupt: &Interrupt,
    limit: Duration,
    mut line: impl FnMut(Stream, &str),
) -> Result<ExitStatus> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::spawn(command, Signal::TERM)?;
    let (sender, lines) = mpsc::sync_channel(1024);
    forward(running.child.stdout.take().expect("piped above"), Stream::Out, sender.clone());
    forward(running.child.stderr.take().expect("piped above"), Stream::Err, sender);

    let started = Instant::now();
    let mut drained_by = None;
    loop {
        interrupt.check()?;
        if started.elapsed() > limit {
            return Err(format!("still running after {} s: killed", limit.as_secs()).into());
        }
        match lines.recv_timeout(TICK) {
            Ok((stream, text)) => line(stream, &text),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            // A grandchild left behind may hold the pipe open; it dies with the group.
            Err(mpsc::RecvTimeoutError::Timeout) if running.ended()?.is_some() => {
                if *drained_by.get_or_insert_with(|| Instant::now() + GRACE) < Instant::now() {
                    break;
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
    interrupt.wait_while(|| matches!(running.ended(), Ok(None)) && started.elapsed() < limit);
    running.ended()?.ok_or_else(|| "did not end: killed".into())
}

fn forward(
    from: impl Read + Send + 'static,
    stream: Stream,
    to: mpsc::SyncSender<(Stream, String)>,
) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { break };
            // A closed channel means that nobody listens any more.
            if to.send((stream, String::from_utf8_lossy(&line).into_owned())).is_err() {
                break;
            }
        }
    });
}

/// Runs a command and returns what it wrote to its standard output; its standard error is part of
/// the failure.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if done.status.success() {
        Ok(String::from_utf8(done.stdout)?)
    } else {
        let said = String::from_utf8_lossy(&done.stderr);
        Err(format!("{name}: {}: {}", done.status, said.trim()).into())
    }
}
