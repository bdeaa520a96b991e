//! A service that wants to see our certificate.

use std::{path::PathBuf, sync::Arc};

use handfast_core::plan::Verb;
use handfast_participants::{Participant, Settings};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::bed::{Said, Shared, call, serve, settings, word};

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let files = TempDir::new().unwrap();
    let (ours, theirs) = (Identity::make(&files, "ours"), Identity::make(&files, "theirs"));
    let strange = Identity::make(&files, "strange");
    let shared = Shared::new(|_, _| Said::This(200, ""));
    let url = serve_tls(&theirs, &ours, shared.clone()).await;

    let open = |shown: Option<&Identity>, trusted: &Identity| {
        let mut settings = settings(&url);
        settings.ca_file = Some(trusted.certificate.clone());
        settings.service.certificate_file = shown.map(|shown| shown.certificate.clone());
        settings.service.key_file = shown.map(|shown| shown.key.clone());
        handfast_participants::open(settings).unwrap()
    };
    let good: Arc<dyn Participant> = open(Some(&ours), &theirs);
    assert_eq!(word(&good.call(call(Verb::Do)).await), "done");
    assert_eq!(shared.requests(), 1);
    let found = good.check().await;
    assert_eq!(found[0].code, "reachable", "{found:?}");

    let came = shared.requests();
    for (shown, trusted) in [(None, &theirs), (Some(&strange), &theirs), (Some(&ours), &strange)] {
        let service = open(shown, trusted);
        let reply = service.call(call(Verb::Do)).await;
        assert!(matches!(word(&reply), "unsent" | "unknown"), "{reply:?}");
        assert_eq!(service.check().await[0].code, "unreachable");
    }
    assert_eq!(shared.requests(), came, "a call got through");

    for (certificate, key) in [(&ours.certificate, &strange.key), (&ours.key, &ours.key)] {
        let mut settings: Settings = settings(&url);
        settings.service.certificate_file = Some(certificate.clone());
        settings.service.key_file = Some(key.clone());
        let why = handfast_participants::open(settings).err().unwrap();
        assert!(why.contains("ours."), "{why}");
    }
}

/// A certificate and its key.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Identity {
    fn make(files: &TempDir, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let certificate = files.path().join(format!("{name}.pem"));
        let key = files.path().join(format!("{name}.key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { certificate, key, made }
    }
}

async fn serve_tls(as_whom: &Identity, to_whom: &Identity, shared: Arc<Shared>) -> String {
    let provider = Arc::new(ring::default_provider());
    let mut trusted = RootCertStore::empty();
    trusted.add(to_whom.made.cert.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(trusted.into(), provider.clone()).build();
    let key = PrivatePkcs8KeyDer::from(as_whom.made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.unwrap())
        .with_single_cert(vec![as_whom.made.cert.der().clone()], PrivateKeyDer::from(key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let (acceptor, shared) = (acceptor.clone(), shared.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(shared, stream).await;
                }
            });
        }
    });
    format!("https://localhost:{port}")
}
