//! TLS towards participants: which authorities are trusted. Shared by every adapter.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::Settings;

/// A client configuration that verifies the server's certificate and name, against `ca_file` if
/// there is one and the public authorities otherwise.
///
/// # Errors
/// The file could not be read or holds no certificate.
pub fn client_config(settings: &Settings) -> Result<ClientConfig, String> {
    trusting(settings.ca_file.as_deref())
        .map_err(|why| format!("resource `{}`: ca_file: {why}", settings.name))
}

/// As [`client_config`], for those who are no participant.
///
/// # Errors
/// The file could not be read or holds no certificate.
pub fn trusting(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let roots = match ca_file {
        Some(path) => roots_of(path)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    // The provider is named here, so that nothing depends on what the process installed.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn roots_of(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    for certificate in certificates {
        let certificate =
            certificate.map_err(|why| format!("{} is not a PEM file: {why}", path.display()))?;
        roots
            .add(certificate)
            .map_err(|why| format!("{} holds a bad certificate: {why}", path.display()))?;
    }
    if roots.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_useless_ca_file_is_named() {
        let missing = roots_of(Path::new("no/such/file.pem")).expect_err("there is none");
        assert!(missing.contains("no/such/file.pem"), "{missing}");
        let empty = roots_of(Path::new("Cargo.toml")).expect_err("it holds no certificate");
        assert!(empty.contains("Cargo.toml"), "{empty}");
    }
}
