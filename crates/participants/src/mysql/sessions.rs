//! Sessions: plain connections, never more than allowed, the clean ones used again.
//!
//! A session on which a caller's statements ran is reset before its next use: see [`reset`]. The
//! driver's own pool must not be used, since it would do that to sessions that hold a branch.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use handfast_core::{
    id::BranchId,
    vote::{Cause::Passing, Refusal},
};
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, Row, SslOpts, prelude::Queryable};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{errors, xa};
use crate::{
    Settings, TlsMode,
    refusal::{self, refusal},
};

/// An idle session older than this is not trusted any more: something between may have cut it.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// Most connections that are kept for finishing branches while work takes all the others.
const RESERVED_MAX: usize = 4;
/// Most prepared statements that one connection keeps.
const STATEMENTS_MAX: usize = 64;
/// Most time to get rid of a session whose caller has gone.
const EVICT_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to one server.
pub(super) struct Sessions {
    opts: Opts,
    connect_timeout: Duration,
    idle: Mutex<Vec<Idle>>,
    work: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
}

struct Idle {
    conn: Conn,
    server: Server,
    since: Instant,
    /// A caller's statements ran on it.
    worked: bool,
}

/// What differs between servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) mariadb: bool,
    pub(super) version: (u16, u16, u16),
    /// Whether a session is free again once it has prepared: MySQL from 8.0.29 unless told
    /// otherwise. Elsewhere it can do nothing but finish that branch, and while it lives nobody
    /// else can.
    pub(super) detaches: bool,
    /// Whether sessions begin with autocommit on.
    pub(super) autocommit: bool,
}

/// One connection, in use.
pub(super) struct Session {
    pub(super) server: Server,
    /// Was used before: it may have been cut since without our noticing.
    pub(super) reused: bool,
    /// May not be used again: its caller's statements may have left something behind.
    pub(super) soiled: bool,
    /// A caller's statements ran on it.
    worked: bool,
    conn: Conn,
    // Declared after the connection: that is closed before its place is given to another.
    alarm: Alarm,
    permit: OwnedSemaphorePermit,
}

/// Ends the server's side of a session that is dropped in the middle of a branch's work: the
/// server would notice only after the statement, which may be waiting for a lock.
struct Alarm {
    sessions: Arc<Sessions>,
    /// The server's number of it.
    session: u32,
    in_flight: bool,
    branch: Option<BranchId>,
}

/// A message of several statements that did not run to its end.
pub(super) struct Stopped {
    /// How many statements before it ran.
    pub(super) done: usize,
    /// Why it failed.
    pub(super) error: Error,
}

impl Sessions {
    /// Checks the settings; does not connect.
    pub(super) fn new(settings: &Settings) -> Result<Arc<Self>, String> {
        let opts = opts(settings).map_err(|why| format!("resource `{}`: {why}", settings.name))?;
        let most = settings.connections_max.max(2);
        let reserved = (most / 4).clamp(1, RESERVED_MAX);
        Ok(Arc::new(Self {
            opts,
            connect_timeout: settings.connect_timeout,
            idle: Mutex::default(),
            work: Arc::new(Semaphore::new(most - reserved)),
            reserved: Arc::new(Semaphore::new(reserved)),
        }))
    }

    /// The name of the database that the address names.
    pub(super) fn database(&self) -> &str {
        self.opts.db_name().expect("checked when it was made")
    }

    /// A session for the work of a branch. Waits for a place.
    pub(super) async fn work(self: &Arc<Self>) -> Result<Session, Refusal> {
        let permit = self.work.clone().acquire_owned().await;
        self.session(permit.expect("the semaphore is never closed")).await
    }

    /// A session for finishing, looking and ending others: work cannot take all of them.
    pub(super) async fn finish(self: &Arc<Self>) -> Result<Session, Refusal> {
        let permit = tokio::select! {
            permit = self.reserved.clone().acquire_owned() => permit,
            permit = self.work.clone().acquire_owned() => permit,
        };
        self.session(permit.expect("the semaphore is never closed")).await
    }

    /// As [`Sessions::finish`], but newly connected.
    pub(super) async fn fresh(self: &Arc<Self>) -> Result<Session, Refusal> {
        let permit = self.reserved.clone().acquire_owned().await;
        // Its place among those that are allowed.
        drop(self.idle().pop());
        self.connect(permit.expect("the semaphore is never closed")).await
    }

    /// Closes all idle sessions: one of them turned out to be dead.
    pub(super) fn forget_idle(&self) {
        let dead = std::mem::take(&mut *self.idle());
        drop(dead);
    }

    async fn session(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<Session, Refusal> {
        let idle = self.idle().pop();
        let Some(Idle { mut conn, server, since, worked }) = idle else {
            return self.connect(permit).await;
        };
        if since.elapsed() >= IDLE_MAX {
            return self.connect(permit).await;
        }
        if worked
            && !matches!(timeout(self.connect_timeout, reset(&mut conn, server)).await, Ok(Ok(())))
        {
            self.forget_idle();
            return self.connect(permit).await;
        }
        Ok(self.begin(conn, server, permit, true))
    }

    fn begin(
        self: &Arc<Self>,
        conn: Conn,
        server: Server,
        permit: OwnedSemaphorePermit,
        reused: bool,
    ) -> Session {
        let session = conn.id();
        let alarm = Alarm { sessions: self.clone(), session, in_flight: false, branch: None };
        Session { server, reused, soiled: false, worked: false, conn, alarm, permit }
    }

    async fn connect(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Result<Session, Refusal> {
        match timeout(self.connect_timeout, connect(self.opts.clone())).await {
            Ok(Ok((conn, server))) => Ok(self.begin(conn, server, permit, false)),
            Ok(Err(error)) => Err(errors::connecting(&error)),
            Err(_) => {
                let why = format!("no connection within {:?}", self.connect_timeout);
                Err(refusal(refusal::UNREACHABLE, Passing, why))
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The server's number of it.
    pub(super) fn id(&self) -> u32 {
        self.conn.id()
    }

    /// Names the branch that it works on from now, or none.
    pub(super) fn works_on(&mut self, branch: Option<&BranchId>) {
        self.alarm.branch = branch.cloned();
    }

    /// Sends several statements as one message. The server stops at the first that fails.
    pub(super) async fn batch(&mut self, text: &str) -> Result<Vec<Vec<Row>>, Stopped> {
        self.alarm.in_flight = true;
        let (mut done, mut sets) = (0, Vec::new());
        let ended: Result<(), Error> = async {
            let mut result = self.conn.query_iter(text).await?;
            while !result.is_empty() {
                sets.push(result.collect().await?);
                done += 1;
            }
            // The driver keeps the error of a later statement until somebody asks for more.
            result.drop_result().await
        }
        .await;
        self.alarm.in_flight = matches!(&ended, Err(error) if error.is_fatal());
        match ended {
            Ok(()) => Ok(sets),
            Err(error) => Err(Stopped { done, error }),
        }
    }

    /// The driver's side of it. Whoever uses it must call [`Session::answered`] after the last
    /// answer: a session dropped before that is ended at the server too.
    pub(super) fn ask(&mut self) -> &mut Conn {
        self.alarm.in_flight = true;
        self.worked = true;
        &mut self.conn
    }

    /// Nothing runs on it at the server now.
    pub(super) fn answered(&mut self) {
        self.alarm.in_flight = false;
    }

    /// Gives it back for the next, if it can be used again. It must hold no branch and no lock.
    pub(super) fn give_back(self) {
        let Self { conn, alarm, server, permit, soiled, worked, .. } = self;
        if !soiled && !alarm.in_flight && !conn.is_disconnected() {
            alarm.sessions.idle().push(Idle { conn, server, since: Instant::now(), worked });
        }
        // After the session is idle, so that nobody connects anew for want of it.
        drop(permit);
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some(branch) = self.branch.take().filter(|_| self.in_flight) else { return };
        // Without a runtime the process is ending, and the server will see that itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (sessions, dropped) = (self.sessions.clone(), self.session);
        runtime.spawn(timeout(EVICT_TIMEOUT, async move {
            let Ok(mut session) = sessions.finish().await else { return };
            match evict(&mut session, &branch, dropped.into()).await {
                Ok(()) => session.give_back(),
                Err(stopped) => {
                    tracing::debug!(%branch, error = %stopped.error, "its session was not ended");
                }
            }
        }));
    }
}

/// Ends a session while it holds the name lock of its branch: so it is certainly the one meant,
/// and not one that got its number after a restart of the server.
async fn evict(session: &mut Session, branch: &BranchId, dropped: u64) -> Result<(), Stopped> {
    if xa::owner(session, branch).await? == Some(dropped) {
        xa::kill(session, dropped).await?;
    }
    Ok(())
}

async fn connect(opts: Opts) -> Result<(Conn, Server), Error> {
    let mut conn = Conn::new(opts).await?;
    // A server may start sessions with autocommit off; then XA START would find a transaction.
    conn.query_drop("SET autocommit = 1").await?;
    let told: Option<(String, bool)> =
        conn.query_first("SELECT VERSION(), @@GLOBAL.autocommit").await?;
    let (text, autocommit) = told.unwrap_or_default();
    let mariadb = text.to_ascii_lowercase().contains("mariadb");
    let version = conn.server_version();
    let detaches = !mariadb && version >= (8, 0, 29) && {
        conn.query_first("SELECT @@xa_detach_on_prepare").await? == Some(true)
    };
    Ok((conn, Server { mariadb, version, detaches, autocommit }))
}

/// Takes away all that a caller's statements, and triggers and functions that they called, left in
/// a session: variables, temporary tables, `LAST_INSERT_ID()`, and also what was prepared on it. It
/// must hold no branch: MariaDB would fail every later write of the session. A role stays as it is,
/// so what may set one soils the session.
async fn reset(conn: &mut Conn, server: Server) -> Result<(), Error> {
    match conn.reset().await? {
        true if server.autocommit => Ok(()),
        true => conn.query_drop("SET autocommit = 1").await,
        false => Err(Error::Driver(DriverError::ConnectionClosed)),
    }
}

fn opts(settings: &Settings) -> Result<Opts, String> {
    let (_, rest) = settings.url.split_once("://").ok_or("the address has no scheme")?;
    let address = Opts::from_url(&format!("mysql://{rest}"))
        .map_err(|error| format!("the address is not valid: {error}"))?;
    if address.db_name().is_none_or(str::is_empty) {
        return Err("the address names no database: mysql://user@host:3306/database".into());
    }
    let mut opts = OptsBuilder::from_opts(address.clone())
        // An UPDATE counts the rows that it matched, as in PostgreSQL.
        .client_found_rows(true)
        .prefer_socket(false)
        .stmt_cache_size(Some(STATEMENTS_MAX));
    if let Some(secret) = &settings.secret {
        opts = opts.pass(Some(secret.clone()));
    }
    if address.ssl_opts().is_some() || settings.tls == TlsMode::Verify {
        // The driver takes the provider of the process. If there is one already, that stays.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut ssl = address.ssl_opts().cloned().unwrap_or_else(SslOpts::default);
        if let Some(path) = &settings.ca_file {
            ssl = ssl.with_root_certs(vec![path.clone().into()]).with_disable_built_in_roots(true);
        }
        opts = opts.ssl_opts(ssl);
    }
    Ok(opts.into())
}
