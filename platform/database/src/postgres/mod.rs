//! The PostgreSQL servers: the primary, and a replica that only reads.

mod address;
mod flush;
mod pool;
mod tls;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use troupe_kernel::config::Secret;

pub(crate) use address::{TLS_HANDSHAKE, parse};
pub use transaction::PgConn;

use crate::config::DatabaseConfig;
use crate::error::{DbError, DbResult};
use address::Address;
use pool::{Bounds, Seat};

/// A primary and perhaps a replica.
pub(crate) struct PgServer {
    primary: Arc<Seat>,
    replica: Option<Arc<Seat>>,
}

impl PgServer {
    /// Builds the pools; nothing connects yet.
    pub(crate) fn new(url: &Secret, config: &DatabaseConfig) -> DbResult<Self> {
        let seat = |role, url, size| {
            let address = Address::all(url, config)?.into_iter().next();
            let address = address.ok_or_else(|| DbError::Url { detail: "no server".to_owned() })?;
            let bounds = Bounds { size, age_max: config.connection_age_max };
            Ok::<_, DbError>(Arc::new(Seat::new(role, address, bounds)?))
        };
        let replica = config.replica_url.as_ref();
        Ok(Self {
            primary: seat("primary", url, config.connections_max)?,
            replica: replica.map(|url| seat("replica", url, config.readers_max)).transpose()?,
        })
    }

    /// Makes one connection to the primary, so that a wrong URL or password shows at start. A replica
    /// that is away does not stop the start.
    pub(crate) async fn reach(&self, wait: Duration) -> DbResult<()> {
        drop(self.primary(wait).await?);
        Ok(())
    }

    pub(crate) async fn primary(&self, wait: Duration) -> DbResult<PgConn> {
        Ok(PgConn::new(self.primary.get(wait).await?, &self.primary))
    }

    /// A connection for reads that allow staleness: the replica's, or the primary's when there is no
    /// replica or it does not answer.
    pub(crate) async fn stale(&self, wait: Duration) -> DbResult<PgConn> {
        let Some(replica) = &self.replica else { return self.primary(wait).await };
        match replica.get(wait).await {
            Ok(object) => Ok(PgConn::new(object, replica)),
            Err(error) => {
                metrics::counter!("database_replica_fallbacks_total").increment(1);
                tracing::warn!(%error, "the replica does not answer; reading from the primary");
                self.primary(wait).await
            }
        }
    }

    /// Shows how full the pools are.
    pub(crate) fn look(&self) {
        self.primary.measure();
        if let Some(replica) = &self.replica {
            replica.measure();
        }
    }
}

impl std::fmt::Debug for PgServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PgServer")
            .field("replica", &self.replica.is_some())
            .finish_non_exhaustive()
    }
}
