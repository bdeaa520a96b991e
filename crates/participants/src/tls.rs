//! TLS towards participants: which authorities are trusted. Shared by every adapter.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
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
    Ok(verifying(ca_file)?.with_no_client_auth())
}

/// As [`trusting`], and shows the certificate in the one file, whose private key is in the other.
///
/// # Errors
/// A file could not be read, holds nothing of the kind, or the two do not belong together.
pub fn showing(
    ca_file: Option<&Path>,
    certificate_file: &Path,
    key_file: &Path,
) -> Result<ClientConfig, String> {
    let verifying = verifying(ca_file).map_err(|why| format!("ca_file: {why}"))?;
    let chain = certificates(certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|why| format!("{} holds no private key: {why}", key_file.display()))?;
    verifying
        .with_client_auth_cert(chain, key)
        .map_err(|why| format!("{} cannot be shown: {why}", certificate_file.display()))
}

fn verifying(
    ca_file: Option<&Path>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let roots = match ca_file {
        Some(path) => roots_of(path)?,
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
    };
    // The provider is named here, so that nothing depends on what the process installed.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions");
    Ok(builder.with_root_certificates(roots))
}

fn roots_of(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|why| format!("{} holds a bad certificate: {why}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path)
        .map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(|why| format!("{} is not a PEM file: {why}", path.display()))?;
    match found.is_empty() {
        true => Err(format!("{} holds no certificate", path.display())),
        false => Ok(found),
    }
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
