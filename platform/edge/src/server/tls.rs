//! TLS by rustls from a certificate and a key in PEM files.
//!
//! What new connections are secured with lies in one place that all share. It is filled by the first
//! start of the listener and replaced by a reload: connections that are there keep theirs, and a
//! listener that starts again needs the files no more.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use troupe_actors::Failure;
use troupe_kernel::{Change, ConfigFault, Reload};

use crate::config::{EdgeConfig, TlsConfig};

/// What new connections are secured with; nothing when TLS is off.
#[derive(Clone, Default)]
pub(crate) struct SharedTls(Arc<RwLock<Option<Secured>>>);

/// A certificate with its key, ready for connections.
#[derive(Clone)]
struct Secured {
    acceptor: TlsAcceptor,
    /// Of certificates and key, to see whether others are the same.
    digest: [u8; 32],
}

impl SharedTls {
    /// For a connection that is made now.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.0.read().as_ref().map(|secured| secured.acceptor.clone())
    }

    /// Reads the files of the configuration, unless that was done before.
    pub(super) fn open(&self, config: &TlsConfig) -> Result<(), Failure> {
        if config.is_on() && self.0.read().is_none() {
            let secured = read(config)?;
            *self.0.write() = Some(secured);
        }
        Ok(())
    }

    /// Takes the files as they are then, if they fit together.
    pub(crate) fn reload(&self) -> Reload {
        let tls = self.clone();
        Reload::new(&["tls.certificate", "tls.key"], move |config: EdgeConfig| {
            let tls = tls.clone();
            Box::pin(async move {
                let current = tls.0.read().as_ref().map(|secured| secured.digest);
                let Some(current) = current.filter(|_| config.tls.is_on()) else {
                    let switched = current.is_some() != config.tls.is_on();
                    let change = Change::none();
                    return Ok(if switched { change.later("tls.certificate") } else { change });
                };
                let reading = tokio::task::spawn_blocking(move || read(&config.tls));
                let secured = reading
                    .await
                    .map_err(|error| vec![ConfigFault::new("tls", error.to_string())])?
                    .map_err(|failure| vec![ConfigFault::new("tls", failure.detail())])?;
                if secured.digest == current {
                    return Ok(Change::none());
                }
                let make = move || *tls.0.write() = Some(secured);
                Ok(Change::none().of("tls.certificate", make))
            })
        })
    }
}

fn read(config: &TlsConfig) -> Result<Secured, Failure> {
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
    let mut digest = Sha256::new();
    for part in chain.iter().map(AsRef::as_ref).chain([key.secret_der()]) {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| refused(&error.to_string()))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(server));
    Ok(Secured { acceptor, digest: digest.finalize().into() })
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
        format!(
            "the TLS certificate cannot be used: {detail}; edge.tls.certificate and edge.tls.key must \
             belong together"
        ),
    )
}
