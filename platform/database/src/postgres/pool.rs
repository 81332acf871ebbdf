//! One server and the pool of its connections.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Object, Pool, PoolError};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError as ConnectError, RecyclingMethod,
};
use futures_util::FutureExt;

use super::address::Address;
use super::flush::Flushers;
use super::standing::{Standing, standing};
use crate::error::{DbError, DbResult};

/// A server with its pool.
pub(super) struct Seat {
    /// What the metrics call it: `primary` or `replica`.
    role: &'static str,
    pool: Pool<AsyncPgConnection>,
    flushers: Flushers,
    tells_places: bool,
}

/// How large a pool is and how old its connections become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) size: usize,
    pub(super) age_max: Duration,
    /// Whether commits are to tell their place in the log.
    pub(super) tells_places: bool,
}

impl Seat {
    /// Builds the pool; nothing connects yet. A new connection is taken only when `accept` finds
    /// nothing wrong with how it stands with the server.
    pub(super) fn new(
        role: &'static str,
        address: Address,
        bounds: Bounds,
        accept: impl Fn(&Standing) -> Result<(), String> + Send + Sync + 'static,
    ) -> DbResult<Self> {
        let Bounds { size, age_max, tells_places } = bounds;
        let mut manager = ManagerConfig::<AsyncPgConnection>::default();
        // The default checks with a round trip at every checkout, which halves the throughput.
        manager.recycling_method = RecyclingMethod::Fast;
        let (to, accept) = (address.clone(), Arc::new(accept));
        manager.custom_setup = Box::new(move |_| {
            let (to, accept) = (to.clone(), Arc::clone(&accept));
            async move {
                let connected = accepted(&to, &*accept).await;
                let outcome = if connected.is_ok() { "made" } else { "failed" };
                metrics::counter!("database_connects_total", "role" => role, "outcome" => outcome)
                    .increment(1);
                connected
            }
            .boxed()
        });
        let name = address.name().to_owned();
        let pool = Pool::builder(AsyncDieselConnectionManager::new_with_config(name, manager))
            .max_size(size)
            .pre_recycle(Hook::sync_fn(move |_, metrics| {
                if metrics.age() > age_max {
                    Err(HookError::message("the connection is too old"))
                } else {
                    Ok(())
                }
            }))
            .build()
            .map_err(|error| DbError::Unreachable { detail: error.to_string() })?;
        let flushers = Flushers::new(address, age_max);
        Ok(Self { role, pool, flushers, tells_places })
    }

    /// A connection, when one is free or can be made in time.
    pub(super) async fn get(&self, wait: Duration) -> DbResult<Object<AsyncPgConnection>> {
        let mut getting = pin!(self.pool.get());
        // Who need not wait costs neither a timer nor a look at the clock.
        let got = match getting.as_mut().now_or_never() {
            Some(got) => got,
            None => {
                let began = Instant::now();
                let got = tokio::time::timeout(wait, getting).await;
                metrics::histogram!("database_connection_wait_seconds", "role" => self.role)
                    .record(began.elapsed().as_secs_f64());
                got.map_err(|_| DbError::Timeout { what: "the wait for a connection" })?
            }
        };
        got.map_err(|error| match error {
            PoolError::Backend(ConnectError::ConnectionError(error)) => DbError::connect(error),
            PoolError::Backend(ConnectError::QueryError(error)) => error.into(),
            other => DbError::Unreachable { detail: other.to_string() },
        })
    }

    /// Whether somebody waits for a connection.
    pub(super) fn is_awaited(&self) -> bool {
        self.pool.status().waiting > 0
    }

    pub(super) fn tells_places(&self) -> bool {
        self.tells_places
    }

    pub(super) fn flushers(&self) -> &Flushers {
        &self.flushers
    }

    /// Shows how full the pool is.
    pub(super) fn measure(&self) {
        let status = self.pool.status();
        let idle = status.available.min(status.size);
        let gauges = [
            ("idle", idle),
            ("used", status.size - idle),
            ("free", status.max_size.saturating_sub(status.size)),
        ];
        for (state, count) in gauges {
            metrics::gauge!("database_connections", "role" => self.role, "state" => state)
                .set(figure(count));
        }
        metrics::gauge!("database_connection_waiters", "role" => self.role)
            .set(figure(status.waiting));
    }
}

/// A connection to the server as it should be.
async fn accepted(
    address: &Address,
    accept: &(impl Fn(&Standing) -> Result<(), String> + Sync),
) -> ConnectionResult<AsyncPgConnection> {
    let mut connection = address.connect().await?;
    let standing = standing(&mut connection).await;
    let standing = standing.map_err(ConnectionError::CouldntSetupConfiguration)?;
    accept(&standing)
        .map_err(|why| ConnectionError::BadConnection(format!("{}: {why}", address.name())))?;
    Ok(connection)
}

fn figure(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
