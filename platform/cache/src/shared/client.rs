//! How Redis is reached: its address, the login, and whom its certificate must lead to.

use std::path::{Path, PathBuf};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, TlsCertificates,
};
use troupe_kernel::Secret;

use super::Redis;
use super::error::RedisError;
use crate::config::CacheConfig;

/// How a certificate begins in PEM form (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The driver has limits of its own, which are shorter than what may be configured.
pub(super) fn settings(config: &CacheConfig) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(config.connect_timeout))
}

impl Redis {
    /// A client with the login and the certificates as they are now; it connects to nothing yet.
    pub(super) async fn client(&self) -> Result<Client, RedisError> {
        self.client_of(&self.url()).await
    }

    /// The same with another login.
    pub(super) async fn client_of(&self, url: &Secret) -> Result<Client, RedisError> {
        let info = url.expose().into_connection_info()?;
        let Some(path) = self.0.config.tls_ca_file.clone() else { return Ok(Client::open(info)?) };
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Ok(Client::open(info)?);
        }
        let reading = tokio::task::spawn_blocking(move || read(path));
        let root_cert = reading.await.map_err(|error| RedisError::Lost(error.to_string()))??;
        let trusted = TlsCertificates { client_tls: None, root_cert: Some(root_cert) };
        Ok(Client::build_with_tls(info, trusted)?)
    }
}

fn read(path: PathBuf) -> Result<Vec<u8>, RedisError> {
    let unusable = |path: &Path, why: String| RedisError::Trust { path: path.to_owned(), why };
    let bytes = std::fs::read(&path).map_err(|error| unusable(&path, error.to_string()))?;
    // The driver would trust nobody and say that it does not know the issuer.
    match bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        true => Ok(bytes),
        false => Err(unusable(&path, "it holds no certificate".to_owned())),
    }
}
