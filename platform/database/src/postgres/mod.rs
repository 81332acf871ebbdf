//! The PostgreSQL servers: the primary, and a replica that only reads.

mod address;
mod flush;
mod login;
mod plain;
mod pool;
mod primary;
mod replica;
mod standing;
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
use pool::Bounds;
use primary::Primary;
use replica::{Replica, Standby};

/// How long a reader waits for a connection to the replica; the primary has more.
const REPLICA_WAIT: Duration = Duration::from_millis(250);

/// A primary and perhaps a replica.
pub(crate) struct PgServer {
    primary: Primary,
    replica: Option<Replica>,
}

impl PgServer {
    /// Builds the pools; nothing connects yet.
    pub(crate) fn new(url: &Secret, config: &DatabaseConfig) -> DbResult<Self> {
        let tells_places = config.replica_url.is_some();
        let bounds = |size| Bounds { size, age_max: config.connection_age_max, tells_places };
        let replica = match &config.replica_url {
            Some(url) => {
                let hosts = Address::all(url, config)?;
                Some(Replica::new(hosts, bounds(config.readers_max), config.replica_lag_max))
            }
            None => None,
        };
        let hosts = Address::all(url, config)?;
        announce();
        Ok(Self { primary: Primary::new(hosts, bounds(config.connections_max))?, replica })
    }

    /// Makes one connection to the primary, so that a wrong URL or password shows at start. A replica
    /// that is away does not stop the start.
    pub(crate) async fn reach(&self, wait: Duration) -> DbResult<()> {
        drop(self.primary(wait).await?);
        Ok(())
    }

    pub(crate) async fn primary(&self, wait: Duration) -> DbResult<PgConn> {
        self.primary.get(wait).await
    }

    /// A connection for who must see what the log has up to a place: the replica's when it has reached
    /// it, otherwise the primary's. When the primary does not answer, data of any age will do.
    pub(crate) async fn reader(&self, place: Option<u64>, wait: Duration) -> DbResult<PgConn> {
        let (Some(replica), Some(place)) = (&self.replica, place) else {
            return self.primary(wait).await;
        };
        let near = match self.primary.is_away() {
            true => replica.without_primary(place),
            false => replica.at(place),
        };
        if let Some(connection) = from(replica, near).await {
            return Ok(connection);
        }
        let error = match self.primary(wait).await {
            Err(error @ DbError::Unreachable { .. }) => error,
            other => {
                metrics::counter!("database_reads_total", "role" => "primary").increment(1);
                return other;
            }
        };
        from(replica, replica.without_primary(place)).await.ok_or(error)
    }

    /// A connection for reads that allow staleness; it sees the commits of this node.
    pub(crate) async fn stale(&self, wait: Duration) -> DbResult<PgConn> {
        self.reader(self.replica.as_ref().map(Replica::written), wait).await
    }

    /// A commit of this node has ended before this place.
    pub(crate) fn note_written(&self, place: u64) {
        if let Some(replica) = &self.replica {
            replica.note_written(place);
        }
    }

    /// Whether readers wait for the replica to be looked at.
    pub(crate) fn is_look_wanted(&self) -> bool {
        self.replica.as_ref().is_some_and(Replica::is_wanted)
    }

    /// Whether the replica is near enough to be read from; none without one.
    pub(crate) fn replica_is_near(&self) -> Option<bool> {
        self.replica.as_ref().map(Replica::is_near)
    }

    /// Lets nobody read from a replica without the tables as this session sees them.
    pub(crate) async fn note_schema(&self, session: &PgConn) -> DbResult<()> {
        if let Some(replica) = &self.replica {
            replica.note_schema(session.place().await?);
        }
        Ok(())
    }

    /// Asks the servers how it stands with them, when there is more than one, and shows how full the
    /// pools are.
    pub(crate) async fn look(&self) {
        if self.replica.is_some() || self.primary.is_chosen() {
            let primary = self.primary.look().await;
            if let Some(replica) = &self.replica {
                replica.look(primary).await;
                replica.measure();
            }
        }
        self.primary.measure();
    }
}

/// Counts from zero: the increase of a counter that begins with its first event is not seen.
fn announce() {
    metrics::counter!("database_failovers_total").increment(0);
    metrics::counter!("database_replica_fallbacks_total").increment(0);
    for role in ["primary", "replica"] {
        metrics::counter!("database_reads_total", "role" => role).increment(0);
        for outcome in ["made", "failed"] {
            metrics::counter!("database_connects_total", "role" => role, "outcome" => outcome)
                .increment(0);
        }
    }
}

/// A connection to the replica; when it refuses, nobody goes there before it was found well again.
async fn from(replica: &Replica, standby: Option<Arc<Standby>>) -> Option<PgConn> {
    let standby = standby?;
    match standby.seat.get(REPLICA_WAIT).await {
        Ok(object) => {
            metrics::counter!("database_reads_total", "role" => "replica").increment(1);
            Some(PgConn::new(object, &standby.seat))
        }
        Err(error) => {
            metrics::counter!("database_replica_fallbacks_total").increment(1);
            tracing::warn!(%error, "the replica does not answer; reading from the primary");
            if !matches!(error, DbError::Timeout { .. }) {
                replica.dismiss(&standby);
            }
            None
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
