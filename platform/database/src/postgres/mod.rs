//! The PostgreSQL pools: the primary, and a replica that only reads.

mod transaction;

use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Pool, PoolError};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError as ConnectError, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use troupe_kernel::config::Secret;

use crate::config::DatabaseConfig;
use crate::error::{DbError, DbResult};
pub use transaction::PgConn;

/// A primary and perhaps a replica.
#[derive(Clone)]
pub(crate) struct PgServer {
    primary: Pool<AsyncPgConnection>,
    replica: Option<Pool<AsyncPgConnection>>,
}

impl PgServer {
    /// Builds the pools; nothing connects yet.
    pub(crate) fn new(url: &Secret, config: &DatabaseConfig) -> DbResult<Self> {
        let primary = pool(url, config, config.connections_max)?;
        let replica = match &config.replica_url {
            Some(url) => Some(pool(url, config, config.readers_max)?),
            None => None,
        };
        Ok(Self { primary, replica })
    }

    /// Makes one connection to the primary, so that a wrong URL or password shows at start. A replica
    /// that is away does not stop the start.
    pub(crate) async fn reach(&self, wait: Duration) -> DbResult<()> {
        drop(self.primary(wait).await?);
        Ok(())
    }

    pub(crate) async fn primary(&self, wait: Duration) -> DbResult<PgConn> {
        get(&self.primary, wait).await
    }

    /// A connection for reads that allow staleness: the replica's, or the primary's when there is no
    /// replica or it does not answer.
    pub(crate) async fn stale(&self, wait: Duration) -> DbResult<PgConn> {
        let Some(replica) = &self.replica else { return self.primary(wait).await };
        match get(replica, wait).await {
            Ok(conn) => Ok(conn),
            Err(error) => {
                metrics::counter!("database_replica_fallbacks_total").increment(1);
                tracing::warn!(%error, "the replica does not answer; reading from the primary");
                self.primary(wait).await
            }
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

async fn get(pool: &Pool<AsyncPgConnection>, wait: Duration) -> DbResult<PgConn> {
    let got = tokio::time::timeout(wait, pool.get())
        .await
        .map_err(|_| DbError::Timeout { what: "the wait for a connection" })?;
    got.map(PgConn::new).map_err(|error| match error {
        PoolError::Backend(ConnectError::ConnectionError(error)) => DbError::connect(error),
        PoolError::Backend(ConnectError::QueryError(error)) => error.into(),
        other => DbError::Unreachable { detail: other.to_string() },
    })
}

fn pool(url: &Secret, config: &DatabaseConfig, size: usize) -> DbResult<Pool<AsyncPgConnection>> {
    let mut manager = ManagerConfig::<AsyncPgConnection>::default();
    // The default checks with a round trip at every checkout, which halves the throughput.
    manager.recycling_method = RecyclingMethod::Fast;
    let connect_timeout = config.connect_timeout;
    let settings = settings(config);
    manager.custom_setup = Box::new(move |url| {
        let (url, settings) = (url.to_owned(), settings.clone());
        async move {
            tokio::time::timeout(connect_timeout, connect(&url, &settings)).await.unwrap_or_else(
                |_| Err(ConnectionError::BadConnection("connecting took too long".to_owned())),
            )
        }
        .boxed()
    });
    let age_max = config.connection_age_max;
    Pool::builder(AsyncDieselConnectionManager::new_with_config(url.expose(), manager))
        .max_size(size)
        .pre_recycle(Hook::sync_fn(move |_, metrics| {
            if metrics.age() > age_max {
                Err(HookError::message("the connection is too old"))
            } else {
                Ok(())
            }
        }))
        .build()
        .map_err(|error| DbError::Unreachable { detail: error.to_string() })
}

/// Sessions are read-only but in transactions that say otherwise; see [`transaction`].
pub(crate) fn settings(config: &DatabaseConfig) -> String {
    format!(
        "SET application_name = 'troupe'; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; SET default_transaction_read_only = on; \
         SET timezone = 'UTC'; SET client_min_messages = warning;",
        config.statement_timeout.as_millis(),
        config.lock_timeout.as_millis(),
        config.idle_transaction_timeout.as_millis(),
    )
}

async fn connect(url: &str, settings: &str) -> ConnectionResult<AsyncPgConnection> {
    let mut connection = AsyncPgConnection::establish(url).await?;
    connection.batch_execute(settings).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}
