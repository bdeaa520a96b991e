//! A transaction of its own, on a connection and a thread of its own, so that a test can hold
//! several open and see one wait for another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use handfast_client::barrier::{self, Call, Ref, Settled, Transaction, Verdict};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

/// A transaction of a driver, and plain SQL in it.
pub trait Local: Transaction {
    /// Runs statements; the first number of the first row, if there is one.
    async fn sql(on: Ref<'_, Self>, text: &str) -> Result<Option<i64>>;
}

/// What a service does in a call.
#[derive(Clone, Debug)]
pub struct Work {
    /// Statements that change something.
    pub sql: String,
    /// What it then says; it fails if `None`.
    pub verdict: Option<Verdict>,
}

/// What a session is told, and where it answers.
pub enum Command {
    Run(Call, Work, mpsc::Sender<Result<Settled>>),
    Mark(String, mpsc::Sender<Result<()>>),
    Ask(Call, mpsc::Sender<Result<Settled>>),
    Sql(String, mpsc::Sender<Result<Option<i64>>>),
    Prune(Duration, mpsc::Sender<Result<u64>>),
    Commit,
}

pub struct Session {
    commands: UnboundedSender<Command>,
    thread: JoinHandle<Result<()>>,
    /// Set by a driver that cannot be asked from outside whether it waits.
    pub waits: Arc<AtomicBool>,
}

/// An answer that is under way.
pub struct Pending<T>(mpsc::Receiver<Result<T>>);

impl<T> Pending<T> {
    pub fn wait(self) -> Result<T> {
        self.0.recv().unwrap()
    }
}

impl Session {
    /// Starts one; `serve` opens the transaction and ends it.
    pub fn start<F>(serve: F) -> Self
    where
        F: AsyncFnOnce(UnboundedReceiver<Command>, Arc<AtomicBool>) -> Result<()> + Send + 'static,
    {
        let (commands, queue) = unbounded_channel();
        let waits = Arc::new(AtomicBool::new(false));
        let told = waits.clone();
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let ended = runtime.enable_all().build().unwrap().block_on(serve(queue, told));
            ended.inspect_err(|error| eprintln!("a session ended: {error}"))
        });
        Self { commands, thread, waits }
    }

    /// Begins a call, and does not wait for its end.
    pub fn begin(&self, call: &Call, work: Work) -> Pending<Settled> {
        self.ask(|answer| Command::Run(call.clone(), work, answer))
    }

    pub fn run(&self, call: &Call, work: Work) -> Result<Settled> {
        self.begin(call, work).wait()
    }

    /// Begins to mark, and does not wait for its end.
    pub fn begin_mark(&self, gid: &str) -> Pending<()> {
        self.ask(|answer| Command::Mark(gid.into(), answer))
    }

    /// Begins to answer whether the marked transaction has committed.
    pub fn begin_ask(&self, call: &Call) -> Pending<Settled> {
        self.ask(|answer| Command::Ask(call.clone(), answer))
    }

    pub fn sql(&self, text: &str) -> Option<i64> {
        self.ask(|answer| Command::Sql(text.into(), answer)).wait().unwrap()
    }

    pub fn prune(&self, older_than: Duration) -> u64 {
        self.ask(|answer| Command::Prune(older_than, answer)).wait().unwrap()
    }

    pub fn commit(self) -> Result<()> {
        // A session that is gone says why.
        let _ = self.commands.send(Command::Commit);
        self.thread.join().unwrap()
    }

    pub fn roll_back(self) {
        drop(self.commands);
        // Of a connection that is gone, too.
        let _ = self.thread.join().unwrap();
    }

    pub fn says_it_waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    fn ask<T>(&self, command: impl FnOnce(mpsc::Sender<Result<T>>) -> Command) -> Pending<T> {
        let (answer, pending) = mpsc::channel();
        // One that is gone drops the question, and `wait` says so.
        let _ = self.commands.send(command(answer));
        Pending(pending)
    }
}

/// Does what it is told until it is told to commit (true), or nobody is there any more.
pub async fn serve<T: Local>(tx: &mut T, commands: &mut UnboundedReceiver<Command>) -> bool {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Run(call, work, answer) => {
                let settled = barrier::run(&call, tx, async |on: Ref<'_, T>| {
                    T::sql(on, &work.sql).await?;
                    work.verdict.ok_or_else(|| "the work failed".into())
                });
                let _ = answer.send(settled.await);
            }
            Command::Mark(gid, answer) => {
                let _ = answer.send(barrier::mark(&gid, tx).await.map_err(Into::into));
            }
            Command::Ask(call, answer) => {
                let _ = answer.send(barrier::ask(&call, tx).await.map_err(Into::into));
            }
            Command::Sql(text, answer) => {
                let _ = answer.send(T::sql(tx.connection(), &text).await);
            }
            Command::Prune(older_than, answer) => {
                let _ = answer.send(barrier::prune(tx, older_than).await.map_err(Into::into));
            }
            Command::Commit => return true,
        }
    }
    false
}
