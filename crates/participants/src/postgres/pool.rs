//! Connections, at most so many at once, reused only when provably clean.
//!
//! Work and finishing (commit, abort, scan) draw on separate places: branches that wait for the
//! database to prepare must never keep the commands out that would set it free.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    connect::Connector,
    errors::Fault,
    session::Session,
};
use crate::Settings;

/// Fewest places: one for work, one for finishing.
pub(super) const CONNECTIONS_MIN: usize = 2;

/// Most time to make a used connection clean again; one that takes longer is closed.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to one database.
pub(super) struct Pool {
    connector: Connector,
    /// What [`Session::clean`] sends.
    defaults: String,
    idle: Mutex<Vec<Session>>,
    work: Arc<Semaphore>,
    finish: Arc<Semaphore>,
}

/// A session and its place. Dropping it closes the connection.
pub(super) struct Lease {
    pub(super) session: Session,
    /// Whether it had been used before, so that the server may have closed it since.
    pub(super) reused: bool,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool without connections yet.
    pub(super) fn new(settings: &Settings) -> Result<Arc<Self>, String> {
        let all = settings.connections_max;
        if all < CONNECTIONS_MIN {
            return Err(format!(
                "resource `{}`: connections_max is {all}, at least {CONNECTIONS_MIN} are needed",
                settings.name
            ));
        }
        let finish = (all / 4).max(1);
        Ok(Arc::new(Self {
            connector: Connector::new(settings)?,
            defaults: defaults(settings),
            idle: Mutex::default(),
            work: Arc::new(Semaphore::new(all - finish)),
            finish: Arc::new(Semaphore::new(finish)),
        }))
    }

    /// How connections are made, for one outside the pool.
    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// A session to work on a branch; waits for a place as long as the caller does.
    pub(super) async fn work(&self) -> Result<Lease, Fault> {
        self.lease(acquire(&self.work).await).await
    }

    /// A session to finish a branch: from the reserve, or any that becomes free first.
    pub(super) async fn finish(&self) -> Result<Lease, Fault> {
        let place = tokio::select! {
            biased;
            place = acquire(&self.finish) => place,
            place = acquire(&self.work) => place,
        };
        self.lease(place).await
    }

    /// Takes back a session on which nothing ran but our own commands outside any block.
    pub(super) fn give_back(&self, lease: Lease) {
        self.lock().push(lease.session);
    }

    /// Takes back a session that ran a caller's statements: it is made clean first, while nobody
    /// waits for it. `failed` says that a failed block may still be open on it.
    pub(super) fn give_back_used(self: &Arc<Self>, lease: Lease, failed: bool) {
        let pool = self.clone();
        tokio::spawn(async move {
            let cleaned = timeout(CLEAN_TIMEOUT, lease.session.clean(&pool.defaults, failed)).await;
            if matches!(cleaned, Ok(Ok(()))) {
                pool.give_back(lease);
            }
        });
    }

    async fn lease(&self, place: OwnedSemaphorePermit) -> Result<Lease, Fault> {
        while let Some(session) = self.pop() {
            if !session.is_closed() {
                return Ok(Lease { session, reused: true, _place: place });
            }
        }
        let connection = self.connector.connect().await?;
        let session = Session::open(connection, &self.defaults).await?;
        Ok(Lease { session, reused: false, _place: place })
    }

    fn pop(&self) -> Option<Session> {
        self.lock().pop()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        // A push or pop leaves the list whole, whatever else panicked.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquire(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    places.clone().acquire_owned().await.expect("the pool never closes its semaphores")
}

/// What holds on every session outside of blocks, and is put back after each use.
///
/// `default_transaction_read_only` is a fence: statements of a branch are sent together with its
/// BEGIN, and if that one fails, those behind it would otherwise commit one by one.
fn defaults(settings: &Settings) -> String {
    format!(
        "SET default_transaction_read_only = on; SET statement_timeout = {}; \
         SET lock_timeout = {}",
        settings.statement_timeout.as_millis().max(1),
        settings.lock_timeout.as_millis().max(1),
    )
}
