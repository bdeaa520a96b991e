//! Making connections, and what every connection of ours is like.

use std::{sync::Arc, time::Duration};

use tokio::{task::AbortHandle, time::timeout};
use tokio_postgres::{Client, Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::errors::{Fault, connect_fault};
use crate::{Settings, TlsMode, tls};

/// Most time between two keepalive probes on an idle connection.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Knows how to connect to one database.
pub(super) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    timeout: Duration,
}

/// A connection. Dropping it closes the socket at once: whatever was asked last may still happen
/// on the server, but nothing more can be asked through it.
pub(super) struct Connection {
    pub(super) client: Arc<Client>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The driver would otherwise wait for all outstanding answers first.
        self.driver.abort();
    }
}

impl Connector {
    /// Reads the address.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        // The driver's own words may quote pieces of the address, so they are not passed on.
        let mut config: Config = settings.url.parse().map_err(|_| {
            format!(
                "resource `{}`: the address is not of the form postgres://user@host:port/database",
                settings.name
            )
        })?;
        if config.get_user().is_none() {
            return Err(format!("resource `{}`: the address names no user", settings.name));
        }
        if let Some(secret) = &settings.secret {
            config.password(secret);
        }
        config
            .application_name(format!("handfast {}", settings.cluster))
            .connect_timeout(settings.connect_timeout)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .tcp_user_timeout(2 * KEEPALIVE)
            .ssl_mode(match settings.tls {
                TlsMode::Off => SslMode::Disable,
                TlsMode::Verify => SslMode::Require,
            });
        let tls = match settings.tls {
            TlsMode::Off => None,
            TlsMode::Verify => Some(MakeRustlsConnect::new(tls::client_config(settings)?)),
        };
        Ok(Self { config, tls, timeout: settings.connect_timeout })
    }

    /// Connects, and logs in.
    pub(super) async fn connect(&self) -> Result<Connection, Fault> {
        match timeout(self.timeout, self.dial()).await {
            Ok(connected) => connected.map_err(|error| connect_fault(&error)),
            Err(_) => Err(Fault::Broken(format!("no connection within {:?}", self.timeout))),
        }
    }

    async fn dial(&self) -> Result<Connection, tokio_postgres::Error> {
        match &self.tls {
            None => {
                let (client, driver) = self.config.connect(NoTls).await?;
                Ok(Connection { client: Arc::new(client), driver: drive(driver) })
            }
            Some(tls) => {
                let (client, driver) = self.config.connect(tls.clone()).await?;
                Ok(Connection { client: Arc::new(client), driver: drive(driver) })
            }
        }
    }
}

fn drive<D>(driver: D) -> AbortHandle
where
    D: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    // An error also reaches whoever waits for an answer on this connection.
    tokio::spawn(async move { drop(driver.await) }).abort_handle()
}
