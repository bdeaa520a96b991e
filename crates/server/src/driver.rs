//! A partition on a thread of its own: turns, syncs, timers.
//!
//! Inputs come in by a [`DriverHandle`] and wait in an inbox. The thread takes what is there, up to
//! [`TURN_MAX`], as one turn: stage, commit (one sync for all of them), hand the effects out. While
//! it syncs, the next turn gathers; so the more callers there are, the more share a sync.
//!
//! The thread owns the partition alone. When the log fails nothing is known about what it holds:
//! the driver says so once and stops for good.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use handfast_core::{
    machine::Machine,
    shard::{self, Shard},
    transaction::{self, Transaction},
};
use handfast_log::{Addressed, LogError, Partition, Refused, Sqlite, Staged};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::stop_point;

/// Most inputs of one turn.
pub const TURN_MAX: usize = 1024;
/// Most callers' requests that wait; one more is refused.
pub const REQUESTS_MAX: usize = 8192;
/// A lazy record waits at most this long for a sync that comes anyway.
const NOTES_WAIT: Duration = Duration::from_millis(20);
/// A timer that the clock cannot count to: longer than any process lives.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What a driver hands out after each turn, and the partition to look things up in; runs on the
/// partition's thread, so it must not block.
type OnEffects<M> =
    dyn FnMut(&mut Partition<M, Sqlite>, Vec<(Arc<str>, <M as Machine>::Effect)>) + Send;
/// What a driver hands back of a turn; runs there too.
type OnRefused<M> = dyn FnMut(Vec<Refused<M>>) + Send;
type Job<M> = Box<dyn FnOnce(&mut Partition<M, Sqlite>) + Send>;

/// A machine that can be driven: its log is JSON, its parts may live on another thread.
pub trait Driven:
    Machine<
        Saved: Send,
        Live: Send,
        Asleep: Send,
        Input: Send,
        Record: Send + Serialize + DeserializeOwned,
        Effect: Send,
    > + Send
    + 'static
{
    /// What it arms. Kept instead of the input that it becomes, which may be a hundred times as
    /// large: as many timers wait as transactions are open.
    type Timer: Send;

    /// What a timer becomes when it is over.
    fn fired(timer: Self::Timer) -> Self::Input;
}

impl Driven for Transaction {
    type Timer = transaction::Timer;

    fn fired(timer: transaction::Timer) -> transaction::Input {
        transaction::Input::Fired(timer)
    }
}

impl Driven for Shard {
    type Timer = shard::Timer;

    fn fired(timer: shard::Timer) -> shard::Input {
        shard::Input::Fired(timer)
    }
}

/// Why a driver did not take a request. Nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Too many wait already.
    #[error("the queue is full")]
    Full,
    /// It is stopping, or its log has failed.
    #[error("the partition has stopped")]
    Stopped,
}

/// The way to a partition. Cheap to clone.
pub struct DriverHandle<M: Driven> {
    inbox: Arc<Inbox<M>>,
    ended: watch::Receiver<()>,
}

impl<M: Driven> Clone for DriverHandle<M> {
    fn clone(&self) -> Self {
        Self { inbox: Arc::clone(&self.inbox), ended: self.ended.clone() }
    }
}

/// A timer that was armed.
#[derive(Clone, Copy, Debug)]
pub struct Armed((Instant, u64));

impl Armed {
    /// How long it still runs; nothing if it is over.
    pub fn left(self) -> Duration {
        self.0.0.saturating_duration_since(Instant::now())
    }
}

struct Inbox<M: Driven> {
    waiting: Mutex<Waiting<M>>,
    changed: Condvar,
}

struct Waiting<M: Driven> {
    /// Answers to effects. Taken first: they end work, requests begin it.
    answers: VecDeque<Addressed<M>>,
    requests: VecDeque<Addressed<M>>,
    jobs: VecDeque<Job<M>>,
    /// By deadline; the number keeps those of one instant apart and in order.
    timers: BTreeMap<(Instant, u64), (Arc<str>, M::Timer)>,
    timers_armed: u64,
    stopping: bool,
    /// The thread waits to be told of a change; to tell it costs a system call.
    is_idle: bool,
}

impl<M: Driven> DriverHandle<M> {
    /// Adds a caller's request.
    ///
    /// # Errors
    /// It was not taken and never will be.
    pub fn try_send(&self, request: Addressed<M>) -> Result<(), NotTaken> {
        let mut waiting = self.room()?;
        waiting.requests.push_back(request);
        self.inbox.tell(waiting);
        Ok(())
    }

    /// Adds an answer to an effect. Never refused: there are no more of these than effects handed
    /// out. After a stop it is dropped, as in a crash.
    pub fn send_internal(&self, answer: Addressed<M>) {
        let mut waiting = self.inbox.lock();
        waiting.answers.push_back(answer);
        self.inbox.tell(waiting);
    }

    /// Adds what a peer says, among the answers: it ends work. It has a bound of its own, so that
    /// callers, however many wait, keep no peer out.
    ///
    /// # Errors
    /// It was not taken and never will be.
    pub fn try_send_peers(&self, said: Addressed<M>) -> Result<(), NotTaken> {
        let mut waiting = self.inbox.lock();
        if waiting.stopping {
            return Err(NotTaken::Stopped);
        }
        if waiting.answers.len() >= REQUESTS_MAX {
            return Err(NotTaken::Full);
        }
        waiting.answers.push_back(said);
        self.inbox.tell(waiting);
        Ok(())
    }

    /// Adds what `timer` becomes when `after_ms` is over, unless it is disarmed or the driver stops
    /// first.
    pub fn arm(&self, after_ms: u64, stream: Arc<str>, timer: M::Timer) -> Armed {
        let now = Instant::now();
        let deadline = now.checked_add(Duration::from_millis(after_ms)).unwrap_or(now + NEVER);
        let mut waiting = self.inbox.lock();
        waiting.timers_armed += 1;
        let key = (deadline, waiting.timers_armed);
        let is_first = waiting.timers.first_key_value().is_none_or(|(first, _)| key < *first);
        waiting.timers.insert(key, (stream, timer));
        if is_first {
            self.inbox.tell(waiting);
        }
        Armed(key)
    }

    /// Forgets a timer, if it is not over yet.
    pub fn disarm(&self, armed: Armed) {
        self.inbox.lock().timers.remove(&armed.0);
    }

    /// Runs `job` on the partition's thread between two turns, for look-ups.
    ///
    /// # Errors
    /// It was not taken and never will run.
    pub fn with(
        &self,
        job: impl FnOnce(&mut Partition<M, Sqlite>) + Send + 'static,
    ) -> Result<(), NotTaken> {
        let mut waiting = self.room()?;
        waiting.jobs.push_back(Box::new(job));
        self.inbox.tell(waiting);
        Ok(())
    }

    /// Refuses new requests, finishes those that wait, closes the log; returns when that is done.
    pub async fn stop(mut self) {
        {
            let mut waiting = self.inbox.lock();
            waiting.stopping = true;
            self.inbox.tell(waiting);
        }
        // The thread holds the sender: an error means that it has ended.
        while self.ended.changed().await.is_ok() {}
    }

    fn room(&self) -> Result<MutexGuard<'_, Waiting<M>>, NotTaken> {
        let waiting = self.inbox.lock();
        if waiting.stopping {
            Err(NotTaken::Stopped)
        } else if waiting.requests.len() + waiting.jobs.len() >= REQUESTS_MAX {
            Err(NotTaken::Full)
        } else {
            Ok(waiting)
        }
    }
}

/// Starts the thread. It first commits `opened.1`, what recovery asked for.
///
/// `on_effects` runs on that thread and must not block; nor must `on_refused`, which gets the
/// inputs whose machine cannot be read back. `on_broken` is called once if the log fails; the
/// process should then stop loudly, since nobody knows what the log holds.
pub fn spawn<M: Driven>(
    opened: (Partition<M, Sqlite>, Staged<M>),
    on_effects: impl FnMut(&mut Partition<M, Sqlite>, Vec<(Arc<str>, M::Effect)>) + Send + 'static,
    on_refused: impl FnMut(Vec<Refused<M>>) + Send + 'static,
    on_broken: impl FnOnce(LogError) + Send + 'static,
) -> DriverHandle<M> {
    let inbox = Arc::new(Inbox { waiting: Mutex::default(), changed: Condvar::new() });
    let (ending, ended) = watch::channel(());
    let (partition, recovered) = opened;
    let driver = Driver {
        partition,
        inbox: Arc::clone(&inbox),
        on_effects: Box::new(on_effects),
        on_refused: Box::new(on_refused),
        notes_since: None,
    };
    thread::Builder::new()
        .name("partition".into())
        .spawn(move || {
            let _end = AbortOnPanic;
            let inbox = Arc::clone(&driver.inbox);
            if let Err(error) = driver.run(recovered) {
                inbox.lock().stopping = true;
                on_broken(error);
            }
            // Jobs and inputs that came too late: whoever waits for them sees its channel close.
            inbox.lock().clear();
            drop(ending);
        })
        .expect("a thread can be started");
    DriverHandle { inbox, ended }
}

/// A panic on the partition's thread is a bug here: what memory holds is not to be trusted, and
/// callers would wait for ever. The next start reads back what is true.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

struct Driver<M: Driven> {
    partition: Partition<M, Sqlite>,
    inbox: Arc<Inbox<M>>,
    on_effects: Box<OnEffects<M>>,
    on_refused: Box<OnRefused<M>>,
    notes_since: Option<Instant>,
}

/// What the thread does next.
enum Next<M: Driven> {
    Turn(Vec<Addressed<M>>, VecDeque<Job<M>>),
    Flush,
    Stop,
}

impl<M: Driven> Driver<M> {
    fn run(mut self, recovered: Staged<M>) -> Result<(), LogError> {
        self.commit(recovered)?;
        loop {
            let flush_at = self.notes_since.map(|since| since + NOTES_WAIT);
            match self.inbox.next(flush_at) {
                Next::Turn(inputs, jobs) => {
                    if !inputs.is_empty() {
                        let mut staged = self.partition.stage(inputs)?;
                        let refused = staged.take_refused();
                        if !refused.is_empty() {
                            (self.on_refused)(refused);
                        }
                        let ahead = staged.take_ahead();
                        if !ahead.is_empty() {
                            (self.on_effects)(&mut self.partition, ahead);
                        }
                        self.commit(staged)?;
                    }
                    for job in jobs {
                        job(&mut self.partition);
                    }
                }
                Next::Flush => {
                    stop_point::reach("before_flush");
                    self.partition.flush(now_ms())?;
                    self.partition.retire();
                    stop_point::reach("after_flush");
                    self.notes_since = None;
                }
                Next::Stop => return self.partition.close(now_ms()),
            }
        }
    }

    fn commit(&mut self, staged: Staged<M>) -> Result<(), LogError> {
        let forced = staged.is_forced();
        if forced {
            stop_point::reach("before_sync");
        }
        let effects = self.partition.commit(staged, now_ms())?;
        if forced {
            stop_point::reach("after_sync");
        }
        self.notes_since = match self.partition.has_notes() {
            true => self.notes_since.or_else(|| Some(Instant::now())),
            false => None,
        };
        if !effects.is_empty() {
            (self.on_effects)(&mut self.partition, effects);
        }
        self.partition.retire();
        Ok(())
    }
}

impl<M: Driven> Inbox<M> {
    /// The queues are whole at every moment, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, Waiting<M>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was added.
    fn tell(&self, mut waiting: MutexGuard<'_, Waiting<M>>) {
        let was_idle = std::mem::take(&mut waiting.is_idle);
        drop(waiting);
        if was_idle {
            self.changed.notify_one();
        }
    }

    /// Waits for something to do.
    fn next(&self, flush_at: Option<Instant>) -> Next<M> {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            waiting.fire(now);
            // Before the turn, so that unforced turns without end cannot put it off.
            if flush_at.is_some_and(|at| at <= now) {
                return Next::Flush;
            }
            if waiting.has_work() {
                return waiting.take_turn();
            }
            if waiting.stopping {
                return Next::Stop;
            }
            let timer = waiting.timers.first_key_value().map(|((deadline, _), _)| *deadline);
            waiting.is_idle = true;
            waiting = match [timer, flush_at].into_iter().flatten().min() {
                Some(until) => {
                    let wait = self.changed.wait_timeout(waiting, until.duration_since(now));
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let wait = self.changed.wait(waiting);
                    wait.unwrap_or_else(PoisonError::into_inner)
                }
            };
            waiting.is_idle = false;
        }
    }
}

impl<M: Driven> Waiting<M> {
    fn has_work(&self) -> bool {
        !(self.answers.is_empty() && self.requests.is_empty() && self.jobs.is_empty())
    }

    fn fire(&mut self, now: Instant) {
        while let Some(timer) = self.timers.first_entry() {
            if timer.key().0 > now {
                return;
            }
            let (stream, timer) = timer.remove();
            self.answers.push_back(Addressed { stream, input: M::fired(timer), fresh: false });
        }
    }

    fn take_turn(&mut self) -> Next<M> {
        let answers = self.answers.len().min(TURN_MAX);
        let requests = self.requests.len().min(TURN_MAX - answers);
        let inputs = self.answers.drain(..answers).chain(self.requests.drain(..requests));
        Next::Turn(inputs.collect(), std::mem::take(&mut self.jobs))
    }

    fn clear(&mut self) {
        *self = Self { stopping: true, ..Self::default() };
    }
}

impl<M: Driven> Default for Waiting<M> {
    fn default() -> Self {
        Self {
            answers: VecDeque::new(),
            requests: VecDeque::new(),
            jobs: VecDeque::new(),
            timers: BTreeMap::new(),
            timers_armed: 0,
            stopping: false,
            is_idle: false,
        }
    }
}

/// Milliseconds since 1970; what a wrong clock does to it is seen only in timelines.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
