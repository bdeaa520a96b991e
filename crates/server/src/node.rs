//! A running node, as the API and embedders see it. Cheap to clone.
//!
//! The node keeps no truth of its own: what is decided is in the partition's log. Here are only the
//! callers who wait, the calls that run, and what was last seen of the resources.

mod attempts;
mod branches;
mod callers;
mod commands;
mod dispatch;
mod dry_run;
mod filling;
mod lanes;
mod line;
mod metrics;
mod pacts;
mod recovery;
mod requests;
mod resource;
mod runs;
mod view;
mod warned;
mod words;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use handfast_client::wire;
use handfast_core::{
    id::{BranchId, Cluster, RequestId},
    transaction::{AckWhen, Answer, BranchSpec, Input, Live, Saved, Transaction},
    work::Work,
};
use handfast_log::{Addressed, LogError, Partition, Reader, Sqlite, SqliteOptions};
use tokio::sync::oneshot;

use crate::{
    driver::{self, DriverHandle},
    inbox::Incoming,
    sagas::Sagas,
    stop_point,
};
use callers::{Answered, Callers, Told};
use metrics::Metrics;
use pacts::Pacts;
use resource::Resource;
use runs::Runs;

pub use words::{Begin, Branch, Command, Present, Rejected};

/// Makes the resources' settings for a cluster.
pub type MakeResources = Box<dyn FnOnce(&Cluster) -> Vec<handfast_participants::Settings> + Send>;

/// What a node needs to start.
pub struct NodeSettings {
    /// Where the log is.
    pub data_dir: PathBuf,
    /// The cluster's name; kept in the log, made at random if absent.
    pub cluster: Option<Cluster>,
    /// Makes the resources' settings, once the cluster's name is known.
    pub resources: MakeResources,
    /// The resources that are acceptors of Paxos commit; if empty, the first two that can be.
    pub paxos_acceptors: Vec<String>,
    /// How often resources are searched for forgotten branches.
    pub recovery_interval: Duration,
    /// Most transactions that may be open at once.
    pub open_max: usize,
    /// How long finished transactions are kept.
    pub retention: Duration,
    /// Called once if the log fails: the process must then stop, since nobody knows what it holds.
    pub on_broken: Box<dyn FnOnce(LogError) + Send>,
}

/// Why a node did not start. Nothing has happened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The sagas could not be read.
    #[error("the sagas were not read: {0}")]
    Sagas(#[from] std::io::Error),
    /// A resource's settings are wrong.
    #[error("{0}")]
    Resource(String),
}

/// A running node.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    driver: DriverHandle<Transaction>,
    cluster: Cluster,
    callers: Arc<Callers>,
    runs: Runs,
    resources: BTreeMap<String, Arc<Resource>>,
    pacts: Pacts,
    reader_dir: PathBuf,
    sagas: Sagas,
    metrics: Metrics,
    stopping: AtomicBool,
    ready: AtomicBool,
}

impl Node {
    /// Opens the log, brings back what is open, and begins recovery. Must run inside tokio.
    ///
    /// # Errors
    /// The node did not start; nothing has happened.
    pub fn start(settings: NodeSettings) -> Result<Self, StartError> {
        let options = SqliteOptions { cluster: settings.cluster, ..SqliteOptions::default() };
        let log = Sqlite::open(&settings.data_dir, options)?;
        let sagas = Sagas::open(&settings.data_dir)?;
        let (cluster, epoch) = (log.cluster().clone(), log.epoch());
        let metrics = Metrics::new();
        let (mut resources, mut pacts) = (BTreeMap::new(), Pacts::new(settings.paxos_acceptors));
        for one in (settings.resources)(&cluster) {
            pacts.add(&one).map_err(StartError::Resource)?;
            let name = one.name.clone();
            let calls = (one.connections_max, one.statement_timeout);
            let participant = handfast_participants::open(one).map_err(StartError::Resource)?;
            let resource = Resource::new(name.clone(), participant, calls, &metrics);
            resources.insert(name, Arc::new(resource));
        }
        let mut opened = Partition::<Transaction, _>::open(log)?;
        let decided_at = lanes::decided_at(&mut opened.0)?;
        let runs = Runs::new(epoch, settings.open_max);
        for (gid, saved, _) in opened.0.machines() {
            if let Some(known) = &saved.known {
                runs.insert(known.run, Arc::clone(gid));
            }
        }
        let callers = Arc::new(Callers::default());
        let node = Arc::new(OnceLock::new());
        let on_effects = dispatch::dispatcher(Arc::clone(&node), decided_at);
        let for_refused = Arc::clone(&node);
        let on_refused = move |refused| callers::refuse(for_refused.wait(), refused);
        let driver = driver::spawn(opened, on_effects, on_refused, settings.on_broken);
        let inner = Arc::new(Inner {
            driver,
            cluster,
            callers,
            runs,
            resources,
            pacts,
            reader_dir: settings.data_dir,
            sagas,
            metrics,
            stopping: AtomicBool::new(false),
            ready: AtomicBool::new(false),
        });
        node.get_or_init(|| Arc::clone(&inner));
        recovery::begin(&inner, settings.recovery_interval, settings.retention);
        Ok(Self { inner })
    }

    /// Runs a transaction; answers when it is decided or applied, or with outcome `unknown` when
    /// the wait is over. A known gid with the same content attaches to it.
    ///
    /// # Errors
    /// Nothing has happened.
    pub async fn begin(&self, begin: Begin) -> Result<wire::Transaction, Rejected> {
        let inner = &self.inner;
        if inner.stopping.load(Ordering::Acquire) {
            return Err(Rejected::Stopping);
        }
        let gid: Arc<str> = begin.gid.into();
        let has_plan = begin.terms.is_some();
        let branches = self.specs(begin.branches)?;
        let terms = match inner.pacts.agree(begin.decide, &branches, &inner.resources) {
            Ok(terms) => terms,
            // What began when it was possible still has its answer.
            Err(why) => return self.known(&gid, &begin.fingerprint).await?.ok_or(why),
        };
        let run = inner.runs.begin(&gid).ok_or(Rejected::Busy)?;
        let has_rows = branches.iter().any(|branch| !matches!(branch.work, Work::Calls(_)));
        let (mut waiting, answered) = inner.callers.wait(has_rows.then_some(run));
        let names: Vec<String> = branches.iter().map(|branch| branch.name.clone()).collect();
        let ack = match begin.ack {
            wire::AckWhen::Decided => AckWhen::Decided,
            wire::AckWhen::Applied => AckWhen::Applied,
        };
        let pact = terms.map(|terms| terms.pact(&inner.cluster, run, &gid, &branches));
        let input = Input::Begin(handfast_core::transaction::Begin {
            request: waiting.request,
            run,
            fingerprint: begin.fingerprint.clone(),
            branches,
            timeout_ms: begin.timeout_ms,
            ack,
            hold: begin.hold,
            pact,
            terms: begin.terms,
        });
        inner.metrics.begun();
        stop_point::reach("request_taken");
        let sent = Addressed { stream: Arc::clone(&gid), input, fresh: begin.is_new };
        inner.driver.try_send(sent).map_err(|refusal| {
            inner.runs.remove(run);
            Rejected::from(refusal)
        })?;
        let mut transaction =
            self.outcome(&gid, answered, begin.wait_ms, ack, &begin.fingerprint).await?;
        if has_plan && transaction.branches.is_empty() {
            // What its branches have put out.
            let view = self.known_view(&gid).await;
            transaction.branches = view.map(|view| view.branches).unwrap_or_default();
        }
        transaction.results = waiting.take_results(&names);
        transaction.decide = begin.decide;
        Ok(transaction)
    }

    /// The transaction as it is now, if it ever began.
    async fn known(
        &self,
        gid: &str,
        fingerprint: &str,
    ) -> Result<Option<wire::Transaction>, Rejected> {
        let Some((saved, live)) = self.look(gid).await? else { return Ok(None) };
        if view::fingerprint(&saved, &live).is_some_and(|begun| begun != fingerprint) {
            return Err(Rejected::OtherContent);
        }
        Ok(self.inner.view(gid, &saved, &live))
    }

    async fn known_view(&self, gid: &str) -> Option<wire::Transaction> {
        let (saved, live) = self.look(gid).await.ok()??;
        self.inner.view(gid, &saved, &live)
    }

    fn specs(&self, branches: Vec<Branch>) -> Result<Vec<BranchSpec>, Rejected> {
        let spec = |Branch { name, resource, work, part }: Branch| {
            let known = self.inner.resources.get(&resource);
            let known = known.ok_or_else(|| Rejected::NoSuchResource(resource.clone()))?;
            let one_phase = known.participant.one_phase();
            Ok(BranchSpec { name, one_phase, resource, work, part })
        };
        branches.into_iter().map(spec).collect()
    }

    /// Waits for the answer, or tells what is known when the wait is over. The request was taken:
    /// from here on nothing may be called "not taken" but what the machine itself refused.
    async fn outcome(
        &self,
        gid: &Arc<str>,
        mut answered: oneshot::Receiver<Answered>,
        wait_ms: u64,
        ack: AckWhen,
        fingerprint: &str,
    ) -> Result<wire::Transaction, Rejected> {
        let wait = Duration::from_millis(wait_ms);
        let told = match wait_ms {
            0 => answered.try_recv().ok(),
            _ => match tokio::time::timeout(wait, &mut answered).await {
                Ok(Ok(told)) => Some(told),
                // The partition ended without an answer: whether it was decided is not known.
                Ok(Err(_)) => return Ok(view::unknown(gid)),
                Err(_) => None,
            },
        };
        if let Some(told) = told {
            let Told { answer, branches } = told?;
            return Ok(wire::Transaction { branches, ..view::answered(gid, answer, ack)? });
        }
        let mut view = match self.known(gid, fingerprint).await {
            Err(Rejected::OtherContent) => return Err(Rejected::OtherContent),
            Ok(Some(view)) => view,
            Ok(None) | Err(_) => return Ok(view::unknown(gid)),
        };
        if ack == AckWhen::Applied && view.outcome == wire::Outcome::Committed {
            view.outcome = wire::Outcome::Unknown;
        }
        Ok(view)
    }

    /// What is known of a transaction, with its timeline.
    ///
    /// # Errors
    /// It is not known, or the node is too busy to look.
    pub async fn transaction(&self, gid: &str) -> Result<wire::Transaction, Rejected> {
        let (saved, live) = self.look(gid).await?.ok_or(Rejected::NoSuchTransaction)?;
        let mut view = self.inner.view(gid, &saved, &live).ok_or(Rejected::NoSuchTransaction)?;
        if let Some(plan) = saved.known.as_ref().and_then(|known| known.plan.as_ref()) {
            view::add_calls(&mut view, plan);
        }
        let name = gid.to_owned();
        let entries = self.read(move |reader| reader.stream(&name)).await?;
        view::add_timeline(&mut view, &entries);
        let run = saved.known.map(|known| known.run).or(live.voting.map(|voting| voting.run));
        let attempts = run.map(|run| self.inner.runs.attempts(run)).unwrap_or_default();
        view::add_attempts(&mut view, &attempts);
        Ok(view)
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &Cluster {
        &self.inner.cluster
    }

    /// The sagas that are described here.
    pub fn sagas(&self) -> &Sagas {
        &self.inner.sagas
    }

    /// A page of transactions, newest first.
    ///
    /// # Errors
    /// `WrongState` for a filter that makes no sense.
    pub async fn list(&self, filter: wire::ListFilter) -> Result<wire::TransactionPage, Rejected> {
        let list = view::List::new(filter)?;
        let (inner, asked) = (Arc::clone(&self.inner), list.clone());
        let voting = match list.begins_in_memory() {
            true => self.ask(move |partition| asked.voting(partition, &inner.runs)).await?,
            false => Vec::new(),
        };
        let asked = list.clone();
        let mut page = self.read(move |reader| asked.page(reader, voting)).await?;
        if page.transactions.iter().any(view::List::is_more_in_memory) {
            let told = move |partition: &mut _| {
                list.tell_live(partition, &mut page);
                page
            };
            page = self.ask(told).await?;
        }
        Ok(page)
    }

    /// All resources.
    pub async fn resources(&self) -> Vec<wire::Resource> {
        let stuck = self.read(|reader| reader.count_open("!stuck@")).await.ok();
        let stuck_at = |name: &str| Some(stuck.as_ref()?.get(name).copied().unwrap_or_default());
        let resources = self.inner.resources.iter();
        let view = |(name, resource): (&String, &Arc<Resource>)| wire::Resource {
            stuck: stuck_at(name),
            ..resource.view()
        };
        resources.map(view).collect()
    }

    /// Checks one resource now.
    ///
    /// # Errors
    /// There is no such resource.
    pub async fn check(&self, resource: &str) -> Result<Vec<wire::Finding>, Rejected> {
        let found = self.inner.resources.get(resource);
        let found = found.ok_or_else(|| Rejected::NoSuchResource(resource.into()))?;
        let mut findings = found.participant.check().await;
        let Inner { pacts, cluster, resources, .. } = &*self.inner;
        findings.extend(pacts.check(resource, cluster, resources).await);
        Ok(findings.into_iter().map(view::finding).collect())
    }

    /// Takes what shards say about transactions that they can finish without this node; how many
    /// messages. Those that are not taken are lost, as messages may be.
    ///
    /// # Errors
    /// The node is stopping.
    pub(crate) fn receive(&self, messages: &Incoming) -> Result<usize, Rejected> {
        Ok(self.inner.receive(messages)?)
    }

    /// A participant asks what was decided for its branch.
    ///
    /// # Errors
    /// Not known now; ask again.
    pub async fn inquire(&self, branch: BranchId) -> Result<wire::Inquiry, Rejected> {
        if branch.cluster != self.inner.cluster {
            return Err(Rejected::NoSuchTransaction);
        }
        let run = branch.run;
        let Some(gid) = recovery::gid_of(&self.inner, run).await? else {
            // Nobody votes on it and nothing was decided: by presumption, abort. A run of a later
            // epoch than ours would be a mistake of the asker's: silence.
            let ours = run.epoch <= self.inner.runs.epoch;
            return if ours { Ok(wire::Inquiry::Abort) } else { Err(Rejected::NoSuchTransaction) };
        };
        let (waiting, answered) = self.inner.callers.wait(None);
        let input = Input::Inquired { request: waiting.request, run };
        self.inner.driver.try_send(Addressed { stream: gid, input, fresh: false })?;
        match answered.await.map_err(|_| Rejected::Stopping)??.answer {
            Answer::InquiryCommit => Ok(wire::Inquiry::Commit),
            Answer::InquiryAbort => Ok(wire::Inquiry::Abort),
            _ => Ok(wire::Inquiry::Pending),
        }
    }

    /// True once every resource has been searched, or was tried.
    pub fn is_ready(&self) -> bool {
        self.inner.ready.load(Ordering::Acquire) && !self.inner.stopping.load(Ordering::Acquire)
    }

    /// Prometheus text.
    pub async fn metrics(&self) -> String {
        let resources = self.resources().await;
        let Inner { metrics, runs, pacts, .. } = &*self.inner;
        metrics.text(runs.len(), pacts.counts(), &resources)
    }

    /// Takes no more transactions, waits up to `grace` for those that run, syncs and closes the
    /// log. What is unfinished then goes on at the next start.
    pub async fn stop(&self, grace: Duration) {
        self.inner.stopping.store(true, Ordering::Release);
        let deadline = tokio::time::Instant::now() + grace;
        while tokio::time::Instant::now() < deadline && !self.inner.callers.is_empty() {
            // Callers leave one by one; nobody announces the last.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.inner.driver.clone().stop().await;
    }

    async fn look(&self, gid: &str) -> Result<Option<(Saved, Live)>, Rejected> {
        let gid = gid.to_owned();
        self.ask(move |partition| partition.look(&gid)).await?.map_err(|error| unreadable(&error))
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Partition<Transaction, Sqlite>) -> T + Send + 'static,
    ) -> Result<T, Rejected> {
        self.inner.ask(question).await
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, Rejected> {
        self.inner.read(question).await
    }
}

impl Inner {
    /// A transaction as its machine knows it, if anything is known.
    fn view(&self, gid: &str, saved: &Saved, live: &Live) -> Option<wire::Transaction> {
        let mut view = view::transaction(gid, &self.cluster, saved, live)?;
        self.add_waits(&mut view, saved, live);
        Some(view)
    }

    /// Asks the partition between two turns.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Partition<Transaction, Sqlite>) -> T + Send + 'static,
    ) -> Result<T, Rejected> {
        let (answer, answered) = oneshot::channel();
        self.driver.with(move |partition| {
            // A caller who left needs no answer.
            let _ = answer.send(question(partition));
        })?;
        answered.await.map_err(|_| Rejected::Stopping)
    }

    /// Asks the log's read side, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, Rejected> {
        let dir = self.reader_dir.clone();
        let read = tokio::task::spawn_blocking(move || {
            Sqlite::reader(&dir).and_then(|reader| question(&reader))
        });
        match read.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(unreadable(&error)),
            Err(_) => Err(Rejected::Stopping),
        }
    }

    fn send(&self, gid: &Arc<str>, input: Input) {
        self.driver.send_internal(Addressed { stream: Arc::clone(gid), input, fresh: false });
    }

    fn branch_id(&self, run: handfast_core::id::RunId, index: u8) -> BranchId {
        BranchId { cluster: self.cluster.clone(), run, index }
    }

    fn reply(&self, request: RequestId, answer: Answer, branches: Vec<wire::BranchView>) {
        self.metrics.answered(&answer);
        self.callers.answer(request, Ok(Told { answer, branches }));
    }
}

/// What a caller is told if the log cannot be read.
fn unreadable(error: &LogError) -> Rejected {
    tracing::error!(%error, "the log was not read");
    match error {
        LogError::DamagedStream { .. } => Rejected::Damaged,
        _ => Rejected::Stopping,
    }
}
