//! A session with one life of Redis: connections that all belong to the same process of it.
//!
//! A restart may bring back an older state of the data, and a replica that takes over may lack the
//! last invalidations. Every key therefore begins with the life of the server (its `run_id` and the
//! `master_replid` of its role), and a connection to another life is refused: what an earlier life
//! kept is never read again and expires.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bb8_redis::bb8::{ManageConnection, Pool, QueueStrategy, RunError};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, InfoDict, Pipeline, Script};
use tokio::sync::Notify;

use super::client;
use super::error::RedisError;
use crate::config::CacheConfig;

/// Hex digits of each of the two names of a life that begin its keys.
const NAME_DIGITS: usize = 10;

/// Connections to one life of Redis. A call that fails ends the session for all.
pub(crate) struct Session {
    pool: Pool<Manager>,
    timeout: Duration,
    /// Begins every key: prefix and life.
    prefix: String,
    doubt: Doubt,
}

/// Whether a call has failed so that nothing more is asked.
#[derive(Default)]
struct Doubt {
    raised: AtomicBool,
    why: Mutex<String>,
    waker: Notify,
}

/// Makes connections and checks that they lead to the right life.
struct Manager {
    client: Client,
    settings: AsyncConnectionConfig,
    life: String,
}

impl ManageConnection for Manager {
    type Connection = MultiplexedConnection;
    type Error = RedisError;

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let client = &self.client;
        let mut conn = client.get_multiplexed_async_connection_with_config(&self.settings).await?;
        if life_of(&mut conn).await? != self.life {
            return Err(RedisError::Replaced);
        }
        Ok(conn)
    }

    async fn is_valid(&self, _: &mut MultiplexedConnection) -> Result<(), RedisError> {
        Ok(())
    }

    /// A connection that broke ends its whole session, and the pool with it.
    fn has_broken(&self, _: &mut MultiplexedConnection) -> bool {
        false
    }
}

/// Which life of which server this is.
pub(super) async fn life_of(conn: &mut MultiplexedConnection) -> Result<String, RedisError> {
    let mut ask = redis::pipe();
    ask.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let (server, replication): (InfoDict, InfoDict) = ask.query_async(conn).await?;
    if replication.get::<String>("role").is_some_and(|role| role != "master") {
        return Err(RedisError::Replica);
    }
    let name = |info: &InfoDict, key: &str| {
        info.get::<String>(key).and_then(|name| name.get(..NAME_DIGITS).map(str::to_owned))
    };
    match (name(&server, "run_id"), name(&replication, "master_replid")) {
        (Some(process), Some(data)) => Ok(format!("{process}{data}")),
        _ => Err(RedisError::Nameless),
    }
}

impl Session {
    /// Connects as often as the configuration says.
    pub(super) async fn open(
        client: Client,
        config: &CacheConfig,
        life: &str,
    ) -> Result<Arc<Self>, RedisError> {
        let settings = client::settings(config);
        let pool = Pool::builder()
            .max_size(config.connections)
            .min_idle(Some(config.connections))
            .connection_timeout(config.connect_timeout)
            .retry_connection(false)
            .test_on_check_out(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .queue_strategy(QueueStrategy::Fifo)
            .build(Manager { client, settings, life: life.to_owned() })
            .await?;
        Ok(Arc::new(Self {
            pool,
            timeout: config.timeout,
            prefix: prefix(config, life),
            doubt: Doubt::default(),
        }))
    }

    /// Whether calls may be expected to succeed.
    pub(super) fn stands(&self) -> bool {
        !self.doubt.raised.load(Ordering::Acquire)
    }

    /// Waits until the session is in doubt; answers why.
    pub(super) async fn lost(&self) -> RedisError {
        self.doubt.waker.notified().await;
        RedisError::Lost(self.doubt.why.lock().clone())
    }

    /// The key of a value.
    pub(super) fn entry_key(&self, key: &str) -> String {
        format!("{}e:{key}", self.prefix)
    }

    /// The key of the right to load a value.
    pub(super) fn lease_key(&self, key: &str) -> String {
        format!("{}l:{key}", self.prefix)
    }

    /// The key of a tag's token.
    pub(super) fn token_key(&self, tag: &str) -> String {
        format!("{}t:{tag}", self.prefix)
    }

    /// Matches all entries, leases and tokens.
    pub(super) fn cache_pattern(&self) -> String {
        format!("{}[elt]:*", self.prefix)
    }

    /// The key of what a caller has spent.
    pub(super) fn spent_key(&self, key: &str) -> String {
        format!("{}r:{key}", self.prefix)
    }

    /// The key of the number of the last news.
    pub(super) fn number_key(&self) -> String {
        number_key(&self.prefix)
    }

    /// One command.
    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        self.bounded(async {
            let mut conn = self.connection().await?;
            Ok(command.query_async(&mut conn).await?)
        })
        .await
    }

    /// Commands in one round trip.
    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, RedisError> {
        self.bounded(async {
            let mut conn = self.connection().await?;
            Ok(commands.query_async(&mut conn).await?)
        })
        .await
    }

    /// A script; another round trip when the server has forgotten its text.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<T, RedisError> {
        let mut call = script.prepare_invoke();
        call.key(keys);
        for argument in arguments {
            call.arg(*argument);
        }
        self.bounded(async {
            let mut conn = self.connection().await?;
            Ok(call.invoke_async(&mut conn).await?)
        })
        .await
    }

    /// A connection carries many calls at once, so it goes straight back to the pool.
    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        Ok((*self.pool.get().await?).clone())
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        let answer = match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer,
            Err(_) => Err(RedisError::Slow(self.timeout)),
        };
        if let Err(error) = &answer
            && error.ends_session()
            && !self.doubt.raised.swap(true, Ordering::AcqRel)
        {
            *self.doubt.why.lock() = error.told();
            self.doubt.waker.notify_one();
        }
        answer
    }
}

pub(super) fn prefix(config: &CacheConfig, life: &str) -> String {
    format!("{}:{life}:", config.prefix)
}

pub(super) fn number_key(prefix: &str) -> String {
    format!("{prefix}number")
}

pub(super) fn channel(prefix: &str) -> String {
    format!("{prefix}news")
}

impl From<RunError<RedisError>> for RedisError {
    fn from(error: RunError<RedisError>) -> Self {
        match error {
            RunError::User(error) => error,
            RunError::TimedOut => Self::Away,
        }
    }
}
