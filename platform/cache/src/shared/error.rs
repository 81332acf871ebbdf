//! What can go wrong with Redis.

use std::path::PathBuf;
use std::time::Duration;

use redis::{ErrorKind, ServerErrorKind};
use thiserror::Error;
use troupe_kernel::error::Failure;

/// A call of Redis that failed.
#[derive(Debug, Error)]
pub enum RedisError {
    /// It is away, and nothing was asked.
    #[error("redis is away; see the health check `redis`")]
    Away,
    /// It did not answer in time.
    #[error("redis did not answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// The server at the address takes no writes.
    #[error("the server of cache.url is a replica; name the primary")]
    Replica,
    /// The server does not say who it is.
    #[error("the server of cache.url does not tell its run_id and master_replid by INFO")]
    Nameless,
    /// Another server, or the same one restarted, answers at the address.
    #[error("the server of cache.url was replaced or restarted")]
    Replaced,
    /// A call failed, and the connections with it.
    #[error("a call failed: {0}")]
    Lost(String),
    /// The connection was closed.
    #[error("the server closed the connection")]
    Closed,
    /// The certificates to trust cannot be read.
    #[error("{} of cache.tls_ca_file is not usable: {why}; it must be a PEM file of certificates", path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The driver or the server refused.
    #[error("redis failed")]
    Driver(#[from] redis::RedisError),
}

impl RedisError {
    /// Whether everything that is known of the connection is in doubt after it.
    pub(super) fn ends_session(&self) -> bool {
        match self {
            Self::Away => false,
            Self::Lost(_)
            | Self::Closed
            | Self::Slow(_)
            | Self::Replica
            | Self::Nameless
            | Self::Replaced
            | Self::Trust { .. } => true,
            Self::Driver(error) => match error.kind() {
                ErrorKind::Server(kind) => matches!(
                    kind,
                    ServerErrorKind::BusyLoading
                        | ServerErrorKind::MasterDown
                        | ServerErrorKind::ReadOnly
                ),
                _ => true,
            },
        }
    }

    /// Itself and its cause in one line, for the log.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Driver(cause) if is_refusal(cause) => {
                format!("redis refused the login: {cause}; check user and password in cache.url")
            }
            Self::Driver(cause) if cause.to_string().contains(CERTIFICATE) => format!(
                "no trusted TLS connection: {cause}; cache.tls_ca_file must name the certificate that \
                 the server's leads to, and cache.url the host that it names"
            ),
            Self::Driver(cause) => format!("{self}: {cause}"),
            _ => self.to_string(),
        }
    }
}

/// How rustls begins what it says of the certificate of a server.
const CERTIFICATE: &str = "invalid peer certificate";

/// A wrong user or password, or none where one is needed.
pub(super) fn is_refusal(error: &redis::RedisError) -> bool {
    let codes = ["WRONGPASS", "NOAUTH", "NOPERM"];
    error.kind() == ErrorKind::AuthenticationFailed
        || error.code().is_some_and(|code| codes.contains(&code))
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::unavailable("cache.redis.away", error.told())
    }
}
