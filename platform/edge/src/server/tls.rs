//! TLS by rustls from a certificate and a key in PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use troupe_actors::Failure;

use crate::config::TlsConfig;

/// The acceptor, or none when TLS is off.
pub(super) fn acceptor(config: &TlsConfig) -> Result<Option<TlsAcceptor>, Failure> {
    if !config.is_on() {
        return Ok(None);
    }
    let certificate = Path::new(&config.certificate);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable("certificate", certificate, &error))?;
    if chain.is_empty() {
        return Err(refused(&format!("{} holds no certificate", certificate.display())));
    }
    let key_path = Path::new(&config.key);
    let key = PrivateKeyDer::from_pem_file(key_path)
        .map_err(|error| unreadable("key", key_path, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| refused(&error.to_string()))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}

fn unreadable(what: &str, path: &Path, error: &rustls::pki_types::pem::Error) -> Failure {
    Failure::unavailable(
        "edge.tls.unreadable",
        format!(
            "the TLS {what} {} cannot be read ({error}); edge.tls.{what} must name a PEM file",
            path.display()
        ),
    )
}

fn refused(detail: &str) -> Failure {
    Failure::unavailable(
        "edge.tls.refused",
        format!("the TLS certificate cannot be used: {detail}"),
    )
}
