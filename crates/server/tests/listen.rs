//! The listener: TLS, and an end in good order.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use handfast_server::{config::Config, listen::Listener, serve};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};
use tokio_rustls::TlsConnector;

use crate::requests::nowhere;

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn config(flags: &[(&str, &str)]) -> Config {
    let flags: Vec<_> = flags.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    Config::load(None, std::iter::empty(), &flags).unwrap()
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn tls_is_spoken_and_a_silent_caller_keeps_nobody_out() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = config(&[
        ("listen", "127.0.0.1:0"),
        ("tls.cert_file", cert.to_str().unwrap()),
        ("tls.key_file", key.to_str().unwrap()),
    ]);
    let listener = Listener::bind(&config).await.unwrap();
    let address = listener.address();
    let app = Router::new().route("/healthz", get(async || "ok\n"));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(listener.serve(app, async move { drop(stopped.await) }));

    let _silent = TcpStream::connect(address).await.unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert).unwrap()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(client)).connect(name, tcp).await.unwrap();
    let answer = ask(tls).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");

    stop.send(()).unwrap();
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config(&[
        ("listen", "127.0.0.1:0"),
        ("tls.cert_file", "/no/such/cert.pem"),
        ("tls.key_file", "/no/such/key.pem"),
    ]);
    let error = Listener::bind(&config).await.err().unwrap().to_string();
    assert!(error.contains("tls.cert_file"), "{error}");
}

#[tokio::test]
async fn a_node_serves_until_it_is_told_to_stop_and_ends_well() {
    let dir = TempDir::new().unwrap();
    let address = nowhere();
    let config =
        config(&[("listen", &address), ("data_dir", dir.path().join("data").to_str().unwrap())]);
    let (stop, stopped) = oneshot::channel::<()>();
    let node = tokio::spawn(serve(config.clone(), async move { drop(stopped.await) }));
    let stream = loop {
        match TcpStream::connect(&address).await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(ask(stream).await.starts_with("HTTP/1.1 200"));

    // A second node is refused the address, in words.
    let error = serve(config, std::future::pending()).await.unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");

    // An idle connection does not keep it from stopping.
    let _idle = TcpStream::connect(&address).await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(30), node).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(&address).await.is_err());
}
