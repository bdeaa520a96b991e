//! The listener: connections bounded in number and patience, with TLS if configured.
//!
//! Handshakes and requests run in tasks of their own, so that nobody who is slow keeps others from
//! being accepted.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;

use crate::config::{Config, TlsFiles};

/// Most time for a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most time from one request's end to the next one's headers; then the connection is closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of a request's line and headers.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Wait after the system could not accept, for want of files or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be used.
    #[error("failed to listen on {address}: {source}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("failed to use the listener's `tls.cert_file` and `tls.key_file`: {0}")]
    Certificate(String),
}

/// A bound address, not yet served.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
}

impl Listener {
    /// Takes the configured address. Connections wait until [`Listener::serve`].
    ///
    /// # Errors
    /// The address or the certificate cannot be used; nothing is bound.
    pub async fn bind(config: &Config) -> Result<Self, ListenError> {
        Self::take(config.listen, config.limits.connections_max, config.tls.as_ref()).await
    }

    /// As [`Listener::bind`], for those who have other settings than a node.
    ///
    /// # Errors
    /// The address or the certificate cannot be used; nothing is bound.
    pub async fn take(
        address: SocketAddr,
        connections_max: usize,
        tls: Option<&TlsFiles>,
    ) -> Result<Self, ListenError> {
        let tls = tls.map(acceptor).transpose()?;
        let bound = TcpListener::bind(address).await.and_then(|socket| {
            let address = socket.local_addr()?;
            Ok((socket, address))
        });
        let (socket, address) = bound.map_err(|source| ListenError::Bind { address, source })?;
        let places = Arc::new(Semaphore::new(connections_max));
        Ok(Self { socket, address, tls, places })
    }

    /// The address bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Serves until `shutdown`; then accepts no more, and gives back what still runs.
    pub async fn serve(self, app: Router, shutdown: impl Future<Output = ()>) -> GracefulShutdown {
        let running = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => return running,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((place, stream)) => {
                    let tls = self.tls.clone();
                    let connection = connection(stream, tls, app.clone(), running.watcher());
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<(OwnedSemaphorePermit, TcpStream)> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let (stream, _) = self.socket.accept().await?;
        // Answers are small and each is waited for.
        stream.set_nodelay(true)?;
        Ok((place, stream))
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, app: Router, watcher: Watcher) {
    match tls {
        None => requests(stream, app, watcher).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => requests(stream, app, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn requests<S>(stream: S, app: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ListenError> {
    let wrong = |what: &str, why: String| ListenError::Certificate(format!("{what}: {why}"));
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong("certificate", e.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| wrong("key", e.to_string()))?;
    // The provider is named here, so that nothing depends on what the process installed.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| wrong("both together", e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
