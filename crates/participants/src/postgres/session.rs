//! One connection of ours: how it begins, ends a block, and becomes clean again.

use std::{fmt, pin::pin, sync::Arc};

use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use handfast_core::{id::BranchId, vote::Proof};
use tokio_postgres::{Error, SimpleQueryMessage, Statement};

use super::{connect::Connection, errors::Fault, statements::Statements, text, work::PROBE};

/// What the server tells about itself: cluster and timeline. A transaction id means something
/// only together with these.
const SERVER: &str = "SELECT system_identifier::text FROM pg_control_system()";
const TIMELINE: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN NULL \
                        ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";

/// Fails in a failed block, where PREPARE and COMMIT do not; answers what proves a branch.
const IDENTIFY: &str = "SELECT pg_current_xact_id()::text, current_setting('application_name')";

/// A connection that is ours.
pub(super) struct Session {
    connection: Connection,
    /// Makes it as good as new.
    clean: Arc<str>,
    statements: Statements,
    probe: Statement,
    server: Server,
    /// Whether the server answered anything in the current work; if not, it may have been dead
    /// before.
    pub(super) answered: bool,
    /// Whether a PREPARE was sent in the current work, so that the branch may be prepared.
    pub(super) prepare_sent: bool,
}

/// The making clean of a session, already sent.
pub(super) type Cleaning = BoxFuture<'static, Result<(), Error>>;

/// Which server it is, and since which failover of it.
pub(super) struct Server {
    /// Of the cluster of databases; none if it is hidden from our role.
    system: Option<String>,
    timeline: String,
}

impl Server {
    /// Whether a proof given under the name `other` is about this very server. One that hides its
    /// identity could be any: what cannot be compared is never the same.
    pub(super) fn is(&self, other: &str) -> bool {
        self.system.is_some() && self.to_string() == other
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.system.as_deref().unwrap_or("unknown"), self.timeline)
    }
}

impl Session {
    /// Gets to know the server, and sets what holds outside of blocks.
    pub(super) async fn open(connection: Connection, clean: Arc<str>) -> Result<Self, Fault> {
        let client = &connection.client;
        client.batch_execute(&clean).await?;
        let system = match client.query_one_scalar(SERVER, &[]).await.map_err(Fault::from) {
            Ok(system) => Some(system),
            // The right to ask was taken from this role.
            Err(fault) if fault.state() == "42501" => None,
            Err(fault) => return Err(fault),
        };
        let timeline: Option<String> = client.query_one_scalar(TIMELINE, &[]).await?;
        let Some(timeline) = timeline else {
            return Err(Fault::Broken("the server is a standby".into()));
        };
        let probe = client.prepare(PROBE).await?;
        let server = Server { system, timeline };
        let statements = Statements::default();
        Ok(Self {
            connection,
            clean,
            statements,
            probe,
            server,
            answered: false,
            prepare_sent: false,
        })
    }

    /// Whether the server closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.connection.client.is_closed()
    }

    /// The server's cluster and timeline.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// What is prepared on it for callers.
    pub(super) fn statements(&mut self) -> &mut Statements {
        &mut self.statements
    }

    /// The prepared form of [`PROBE`].
    pub(super) fn probe_statement(&self) -> &Statement {
        &self.probe
    }

    /// The driver's side of it, for commands of our own.
    pub(super) fn client(&self) -> &tokio_postgres::Client {
        &self.connection.client
    }

    /// Sends what removes everything that a caller's statements left behind: settings, roles,
    /// locks of the session. `failed` says that a failed block may still be open.
    pub(super) fn clean(&self, failed: bool) -> Cleaning {
        let client = self.connection.client.clone();
        let text: Arc<str> =
            if failed { format!("ROLLBACK; {}", self.clean).into() } else { self.clean.clone() };
        let mut cleaning: Cleaning = Box::pin(async move { client.batch_execute(&text).await });
        // The first poll sends. Locks must not stay until the session is used again.
        match (&mut cleaning).now_or_never() {
            Some(done) => Box::pin(ready(done)),
            None => cleaning,
        }
    }

    /// Prepares the open block. An error that is `Refused` rolled it back.
    ///
    /// In a failed block PREPARE TRANSACTION answers success and means ROLLBACK, and the driver
    /// hides the difference. So it is sent behind a command that fails in a failed block, in the
    /// same message, of which the server then skips the rest.
    pub(super) async fn prepare(&self, branch: &BranchId) -> Result<(Proof, Cleaning), Fault> {
        let message = format!("{IDENTIFY}; PREPARE TRANSACTION '{branch}'");
        let (answers, cleaning) = self.end(&message).await?;
        let row = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?, row.get(1)?)),
            _ => None,
        });
        match row {
            Some((xid, name)) if name == branch.to_string() => Ok((self.proof(xid), cleaning)),
            // It is prepared all the same. Unless that is taken back for certain, it is no no.
            _ => match self.roll_back_prepared(branch).await {
                Ok(true) => Err(Fault::renamed()),
                Ok(false) => Err(Fault::Broken("the block that was prepared is gone".into())),
                Err(fault) => Err(Fault::Broken(fault.message())),
            },
        }
    }

    /// The proof for this transaction.
    pub(super) fn proof(&self, xid: &str) -> Proof {
        Proof(format!("pg:{}:{xid}", self.server))
    }

    /// Commits the open block; the same trap, the same guard.
    pub(super) async fn commit(&self) -> Result<Cleaning, Fault> {
        Ok(self.end("SHOW application_name; COMMIT").await?.1)
    }

    /// Commits the open block, which is serializable and only read.
    pub(super) async fn commit_reads(&self) -> Result<Cleaning, Fault> {
        Ok(self.end(&text::commit_reads()).await?.1)
    }

    /// Rolls the open block back.
    pub(super) async fn roll_back(&self) -> Result<Cleaning, Fault> {
        Ok(self.end("ROLLBACK").await?.1)
    }

    /// Sends the end of a block and right behind it the cleaning; waits for the first only.
    async fn end(&self, message: &str) -> Result<(Vec<SimpleQueryMessage>, Cleaning), Fault> {
        let mut ended = pin!(self.client().simple_query(message));
        let at_once = ended.as_mut().now_or_never();
        let cleaning = self.clean(false);
        let answers = match at_once {
            Some(answers) => answers,
            None => ended.await,
        };
        Ok((answers?, cleaning))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use handfast_core::id::{Cluster, RunId};

    use super::*;
    use crate::{
        Settings, TlsMode,
        postgres::pool::{Lease, Pool},
    };

    async fn session(case: &str) -> Option<Lease> {
        let Ok(urls) = std::env::var("HANDFAST_TEST_POSTGRES") else {
            let required =
                ["CI", "HANDFAST_TEST_REQUIRED"].iter().any(|v| std::env::var(v).is_ok());
            assert!(!required, "HANDFAST_TEST_POSTGRES is not set; use `cargo xtask test`");
            eprintln!("NOT RUN: {case}: HANDFAST_TEST_POSTGRES is not set");
            return None;
        };
        let settings = Settings {
            name: "test".into(),
            url: urls.split(',').next().expect("one at least").into(),
            secret: None,
            ca_file: None,
            tls: TlsMode::Off,
            connections_max: 2,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(5),
            marker_table: String::new(),
            service: Default::default(),
            cluster: Cluster::new("session").expect("a name"),
        };
        let pool = Pool::new(&settings).expect("good settings");
        Some(pool.work().await.expect("the server is there"))
    }

    /// The server answers a bare PREPARE TRANSACTION there with success, and means ROLLBACK.
    #[tokio::test]
    async fn a_failed_block_is_not_prepared() {
        let Some(Lease { session, .. }) = session("a_failed_block_is_not_prepared").await else {
            return;
        };
        let cluster = Cluster::new("session").expect("a name");
        let run = RunId { epoch: 1, number: std::process::id().into() };
        let branch = BranchId { cluster, run, index: 0 };
        let begin = format!("BEGIN; SET LOCAL application_name = '{branch}'");
        for end in ["SELECT 1 / 0", "ROLLBACK"] {
            session.client().batch_execute(&begin).await.expect("a block");
            let _ = session.client().batch_execute(end).await;
            let why = session.prepare(&branch).await.err().expect("it must not be prepared");
            match end {
                // Without a block the message is one by itself, and what it prepared is taken back.
                "ROLLBACK" => assert_eq!(why.refusal(), Fault::renamed().refusal()),
                _ => assert_eq!(why.state(), "25P02"),
            }
            let _ = session.client().batch_execute("ROLLBACK").await;
            assert!(matches!(session.roll_back_prepared(&branch).await, Ok(false)));
        }
    }

    /// Statements are sent along with their BEGIN; should that fail, they must not count.
    #[tokio::test]
    async fn nothing_is_written_outside_of_a_block() {
        let Some(Lease { session, .. }) = session("nothing_is_written_outside").await else {
            return;
        };
        let stray = session.client().batch_execute("CREATE TABLE hf_stray (a int)").await;
        assert_eq!(Fault::from(stray.expect_err("a fence")).state(), "25006");
    }
}
