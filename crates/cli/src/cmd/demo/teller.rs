//! The callers: each takes the next transfer, asks for it, and keeps the answer word for word.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use handfast_client::{Error, Handfast, Outcome};
use handfast_example_kit::{Answer, Screen};
use tokio::{sync::watch, task::JoinSet};

use super::{
    bank::Bank,
    plan::{Plan, Transfer},
    world::World,
};

/// How long a caller goes on asking, and the transaction's own timeout.
const PATIENT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));
/// Where there is another node to go to, it is not worth while to be patient with a dead one.
const QUICK: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(3));
/// One caller is in a hurry, and is told "unknown" more often than the others.
const HASTY: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(500));

/// How long a caller waits after it was told that something is away.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// The callers at work.
pub struct Tellers {
    tasks: JoinSet<Result<(), String>>,
    shared: Arc<Shared>,
    done: watch::Receiver<u32>,
}

struct Shared {
    plan: Arc<Plan>,
    banks: Arc<[Bank; 2]>,
    screen: Arc<Screen>,
    next: AtomicUsize,
    answers: Mutex<Answers>,
    done: watch::Sender<u32>,
}

#[derive(Default)]
struct Answers {
    all: Vec<Option<Answer>>,
    committed: u32,
    aborted: u32,
    unknown: u32,
}

pub fn open(world: &World, plan: &Arc<Plan>, screen: &Arc<Screen>) -> Result<Tellers, String> {
    let (sender, done) = watch::channel(0);
    let all = vec![None; plan.transfers.len()];
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        banks: world.banks.clone(),
        screen: screen.clone(),
        next: AtomicUsize::new(0),
        answers: Mutex::new(Answers { all, ..Answers::default() }),
        done: sender,
    });
    let mut tasks = JoinSet::new();
    for number in 0..plan.clients {
        let (patience, timeout) = match number {
            1 => HASTY,
            _ if world.nodes.len() > 1 => QUICK,
            _ => PATIENT,
        };
        // They begin at different nodes.
        let nodes = world.nodes.iter().cycle().skip(number as usize).take(world.nodes.len());
        let nodes = nodes.map(|node| Handfast::builder(&node.url).timeout(patience).build());
        let nodes = nodes.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        let shared = shared.clone();
        tasks.spawn(async move {
            shared.work(&nodes, timeout).await;
            Ok(())
        });
    }
    Ok(Tellers { tasks, shared, done })
}

impl Tellers {
    /// Waits until so many transfers are answered.
    pub async fn reached(&self, count: u32) {
        // The sender lives as long as we do.
        let _ = self.done.clone().wait_for(|done| *done >= count).await;
    }

    /// Waits for all of them; what each was told, in the plan's order.
    pub async fn join(mut self) -> Result<Vec<Answer>, String> {
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|e| format!("a caller broke: {e}"))??;
        }
        let all = std::mem::take(&mut self.shared.lock().all);
        all.into_iter().collect::<Option<_>>().ok_or_else(|| "a transfer was not asked for".into())
    }
}

impl Shared {
    async fn work(&self, nodes: &[Handfast], timeout: Duration) {
        let mut pause = PAUSE_FIRST;
        let mut turn = nodes.iter().cycle();
        let mut hf = turn.next().expect("a cycle has no end");
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            let Some(transfer) = self.plan.transfers.get(number) else { return };
            let ended = self.ask(hf, timeout, &self.plan.gid(number), transfer).await;
            // Something is away: a caller with manners waits a little, then longer.
            let away = match &ended {
                Ok(Outcome::Aborted(abort)) => abort.retryable,
                Ok(Outcome::Committed(_) | Outcome::Unknown(_)) => false,
                Err(_) => true,
            };
            // A node that did not answer: the next transfer is asked for elsewhere. This one is
            // not, since the other node would run it a second time.
            if matches!(&ended, Ok(Outcome::Unknown(_)) | Err(_)) {
                hf = turn.next().expect("a cycle has no end");
            }
            self.keep(number, Answer::of(ended));
            if away {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            } else {
                pause = PAUSE_FIRST;
            }
        }
    }

    async fn ask(
        &self,
        hf: &Handfast,
        timeout: Duration,
        gid: &str,
        of: &Transfer,
    ) -> Result<Outcome, Error> {
        let (payer, payee) = (&self.banks[of.payer], &self.banks[1 - of.payer]);
        let transaction = hf.transaction(gid).timeout(timeout).decide(self.plan.decide.into());
        let transaction = payer.branch(transaction, "debit", of.from, -of.amount);
        let transaction = payee.branch(transaction, "credit", of.to, of.amount);
        transaction.run().await
    }

    fn keep(&self, number: usize, answer: Answer) {
        let counts = {
            let mut answers = self.lock();
            match &answer {
                Answer::Committed => answers.committed += 1,
                Answer::Unknown(_) => answers.unknown += 1,
                Answer::Aborted(_) | Answer::NotSent | Answer::Wrong(_) => answers.aborted += 1,
            }
            answers.all[number] = Some(answer);
            (answers.committed, answers.aborted, answers.unknown)
        };
        let done = counts.0 + counts.1 + counts.2;
        self.screen.progress(done.into(), || {
            format!("{} committed, {} not, {} unknown", counts.0, counts.1, counts.2)
        });
        self.done.send_modify(|most| *most = done.max(*most));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().expect("nothing panics while it is held")
    }
}
