//! The callers: each takes the next number, sends it, and keeps the answer word for word.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use handfast_client::{Error, Handfast, Outcome};
use tokio::{sync::watch, task::JoinSet};

use crate::{Answer, Screen};

/// How long a caller goes on asking.
const PATIENT: Duration = Duration::from_secs(10);
/// One of them is in a hurry, and hangs up before it is answered.
const HASTY: Duration = Duration::from_millis(100);
/// How long one waits who has learned nothing: the node is away, or slow.
const PAUSE: Duration = Duration::from_millis(200);

/// The callers at work.
pub struct Callers {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
    done: watch::Receiver<u32>,
}

struct Shared {
    screen: Arc<Screen>,
    next: AtomicUsize,
    answers: Mutex<Vec<Option<Answer>>>,
    done: watch::Sender<u32>,
}

impl Callers {
    /// So many `callers` send the numbers below `count`.
    pub fn open<F>(
        node: &str,
        (count, callers): (u32, u32),
        screen: &Arc<Screen>,
        send: impl Fn(Handfast, usize) -> F + Clone + Send + 'static,
    ) -> Result<Self, String>
    where
        F: Future<Output = Result<Outcome, Error>> + Send,
    {
        let (sender, done) = watch::channel(0);
        let shared = Arc::new(Shared {
            screen: screen.clone(),
            next: AtomicUsize::new(0),
            answers: Mutex::new(vec![None; count as usize]),
            done: sender,
        });
        let mut tasks = JoinSet::new();
        for number in 0..callers {
            let hangs_up = if number == 1 { HASTY } else { Duration::MAX };
            let node = Handfast::builder(node).timeout(PATIENT).build();
            let node = node.map_err(|e| e.to_string())?;
            let (send, shared) = (send.clone(), shared.clone());
            tasks.spawn(async move {
                while let Some(number) = shared.next() {
                    let sent = tokio::time::timeout(hangs_up, send(node.clone(), number)).await;
                    let answer = sent.map_or(Answer::Unknown(None), Answer::of);
                    let is_away = matches!(answer, Answer::NotSent | Answer::Unknown(_));
                    shared.keep(number, answer);
                    if is_away {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            });
        }
        Ok(Self { tasks, shared, done })
    }

    /// Waits until so many are answered.
    pub async fn reached(&self, count: u32) {
        // The sender lives as long as we do.
        let _ = self.done.clone().wait_for(|done| *done >= count).await;
    }

    /// Waits for all of them; what was told to each number.
    pub async fn join(mut self) -> Result<Vec<Answer>, String> {
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|e| format!("a caller broke: {e}"))?;
        }
        let all = std::mem::take(&mut *self.shared.lock());
        all.into_iter().collect::<Option<_>>().ok_or_else(|| "something was not sent".into())
    }
}

impl Shared {
    fn next(&self) -> Option<usize> {
        let next = self.next.fetch_add(1, Relaxed);
        (next < self.lock().len()).then_some(next)
    }

    fn keep(&self, number: usize, answer: Answer) {
        self.lock()[number] = Some(answer);
        self.done.send_modify(|done| *done += 1);
        let done = *self.done.borrow();
        self.screen.progress(done.into(), || {
            let answers = self.lock();
            let told: Vec<_> = answers.iter().flatten().map(Answer::happens).collect();
            let count = |happens| told.iter().filter(|told| **told == happens).count();
            let (yes, no, unknown) = (count(Some(true)), count(Some(false)), count(None));
            format!("{yes} committed, {no} not, {unknown} unknown")
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Answer>>> {
        self.answers.lock().expect("nothing panics while it is held")
    }
}
