//! The PostgreSQL pools: the primary, and a replica that only reads.

mod flush;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Object, Pool, PoolError};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError as ConnectError, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use troupe_kernel::config::Secret;

use crate::config::DatabaseConfig;
use crate::error::{DbError, DbResult};
use flush::Flushers;
pub use transaction::PgConn;

/// A primary and perhaps a replica.
#[derive(Clone)]
pub(crate) struct PgServer {
    primary: Pool<AsyncPgConnection>,
    flushers: Arc<Flushers>,
    replica: Option<Pool<AsyncPgConnection>>,
}

impl PgServer {
    /// Builds the pools; nothing connects yet.
    pub(crate) fn new(url: &Secret, config: &DatabaseConfig) -> DbResult<Self> {
        let address = Address::new(url, config);
        let primary = pool(&address, config, config.connections_max)?;
        let replica = match &config.replica_url {
            Some(url) => Some(pool(&Address::new(url, config), config, config.readers_max)?),
            None => None,
        };
        let flushers = Arc::new(Flushers::new(address, config.connection_age_max));
        Ok(Self { primary, flushers, replica })
    }

    /// Makes one connection to the primary, so that a wrong URL or password shows at start. A replica
    /// that is away does not stop the start.
    pub(crate) async fn reach(&self, wait: Duration) -> DbResult<()> {
        drop(self.primary(wait).await?);
        Ok(())
    }

    pub(crate) async fn primary(&self, wait: Duration) -> DbResult<PgConn> {
        Ok(PgConn::new(get(&self.primary, wait).await?, &self.flushers))
    }

    /// A connection for reads that allow staleness: the replica's, or the primary's when there is no
    /// replica or it does not answer.
    pub(crate) async fn stale(&self, wait: Duration) -> DbResult<PgConn> {
        let Some(replica) = &self.replica else { return self.primary(wait).await };
        match get(replica, wait).await {
            Ok(object) => Ok(PgConn::new(object, &self.flushers)),
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

async fn get(
    pool: &Pool<AsyncPgConnection>,
    wait: Duration,
) -> DbResult<Object<AsyncPgConnection>> {
    let got = tokio::time::timeout(wait, pool.get())
        .await
        .map_err(|_| DbError::Timeout { what: "the wait for a connection" })?;
    got.map_err(|error| match error {
        PoolError::Backend(ConnectError::ConnectionError(error)) => DbError::connect(error),
        PoolError::Backend(ConnectError::QueryError(error)) => error.into(),
        other => DbError::Unreachable { detail: other.to_string() },
    })
}

fn pool(
    address: &Address,
    config: &DatabaseConfig,
    size: usize,
) -> DbResult<Pool<AsyncPgConnection>> {
    let mut manager = ManagerConfig::<AsyncPgConnection>::default();
    // The default checks with a round trip at every checkout, which halves the throughput.
    manager.recycling_method = RecyclingMethod::Fast;
    let to = address.clone();
    manager.custom_setup = Box::new(move |_| {
        let to = to.clone();
        async move { to.connect().await }.boxed()
    });
    let age_max = config.connection_age_max;
    Pool::builder(AsyncDieselConnectionManager::new_with_config(address.url.expose(), manager))
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

/// Where a server is and how its sessions are set up.
#[derive(Clone)]
struct Address {
    url: Secret,
    settings: String,
    timeout: Duration,
}

impl Address {
    fn new(url: &Secret, config: &DatabaseConfig) -> Self {
        Self { url: url.clone(), settings: settings(config), timeout: config.connect_timeout }
    }

    async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let connecting = async {
            let mut connection = AsyncPgConnection::establish(self.url.expose()).await?;
            let set_up = connection.batch_execute(&self.settings).await;
            set_up.map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(connection)
        };
        tokio::time::timeout(self.timeout, connecting).await.unwrap_or_else(|_| {
            Err(ConnectionError::BadConnection("connecting took too long".to_owned()))
        })
    }
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
