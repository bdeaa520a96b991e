//! Connections, at most so many at once, reused only when provably clean.
//!
//! Work and finishing (commit, abort, scan) draw on separate places: branches that wait for the
//! database to prepare must never keep the commands out that would set it free.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::ready};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    connect::Connector,
    errors::Fault,
    session::{Cleaning, Session},
};
use crate::Settings;

/// Fewest places: one for work, one for finishing.
pub(super) const CONNECTIONS_MIN: usize = 2;

/// The connections to one database.
pub(super) struct Pool {
    connector: Connector,
    /// What [`Session::clean`] sends.
    clean: Arc<str>,
    /// In the order of their return.
    idle: Mutex<VecDeque<Idle>>,
    work: Arc<Semaphore>,
    finish: Arc<Semaphore>,
}

/// A session that nobody uses, maybe still being cleaned.
type Idle = (Session, Option<Cleaning>);

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
            clean: clean(settings).into(),
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

    /// Takes back a session. One that ran a caller's statements comes with its cleaning under way,
    /// which the next user waits for; by then it is usually done.
    pub(super) fn give_back(&self, lease: Lease, cleaning: Option<Cleaning>) {
        self.lock().push_back((lease.session, cleaning));
    }

    async fn lease(&self, place: OwnedSemaphorePermit) -> Result<Lease, Fault> {
        while let Some((session, cleaning)) = self.pop() {
            let clean = match cleaning {
                Some(cleaning) => cleaning.await.is_ok(),
                None => true,
            };
            if clean && !session.is_closed() {
                return Ok(Lease { session, reused: true, _place: place });
            }
        }
        let connection = self.connector.connect().await?;
        let session = Session::open(connection, self.clean.clone()).await?;
        Ok(Lease { session, reused: false, _place: place })
    }

    /// The last used that is clean already: its memory is warm, on both sides. Else the one that
    /// has been cleaned for longest.
    fn pop(&self) -> Option<Idle> {
        let mut idle = self.lock();
        let clean = idle.iter_mut().rposition(|(_, cleaning)| match cleaning {
            None => true,
            Some(under_way) => match under_way.now_or_never() {
                None => false,
                Some(Ok(())) => {
                    *cleaning = None;
                    true
                }
                Some(failed) => {
                    *cleaning = Some(Box::pin(ready(failed)));
                    true
                }
            },
        });
        idle.remove(clean.unwrap_or(0))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        // A push or pop leaves the list whole, whatever else panicked.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquire(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    places.clone().acquire_owned().await.expect("the pool never closes its semaphores")
}

/// Removes all that a caller's statements can leave on a connection, and sets what holds on every
/// one of ours outside of blocks.
///
/// `default_transaction_read_only` is a fence: statements of a branch are sent together with its
/// BEGIN, and if that one fails, those behind it would otherwise commit one by one.
fn clean(settings: &Settings) -> String {
    format!(
        "CLOSE ALL; UNLISTEN *; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; \
         SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES; \
         SET default_transaction_read_only = on; SET statement_timeout = {}; SET lock_timeout = {}",
        millis(settings.statement_timeout),
        millis(settings.lock_timeout),
    )
}

/// For a timeout setting: 0 would mean without end, and the server takes no more than 31 bits.
fn millis(time: Duration) -> u128 {
    time.as_millis().clamp(1, i32::MAX as u128)
}
