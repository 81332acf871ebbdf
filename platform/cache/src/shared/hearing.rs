//! What a node hears, and how it knows that it heard all of it.
//!
//! News are numbered in Redis. After a gap, after a reconnection that missed a number, and in another
//! life of the server the node forgets everything that another may have changed. On the connection
//! of the news the node also asks for the last number: news that were published before the answer
//! come before it, and a connection that is dead without saying so does not answer. A number that
//! Redis lost begins anew at random, so it is never taken for one that was heard.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, ProtocolVersion, PushInfo, PushKind};
use tokio::sync::mpsc;
use troupe_actors::Scope;

use super::client;
use super::error::RedisError;
use super::news::{self, Heard, News};
use super::session::{self, life_of};
use super::{FORGET_WITHIN, Redis, start};

/// News that may wait; more are a gap.
const NEWS_MAX: usize = 8192;
/// An answer on the connection of the news comes within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Up to where a node has heard everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) life: String,
    /// The last number.
    pub(super) number: u64,
}

/// The subscription of a node.
pub(super) struct Hearing {
    redis: Redis,
    conn: MultiplexedConnection,
    pushes: mpsc::Receiver<PushInfo>,
    number_key: String,
    place: Place,
    /// Something was not forgotten in time and is forgotten later.
    owed: bool,
}

impl Hearing {
    /// Subscribes, and forgets everything unless nothing was published since `before`.
    pub(super) async fn open(redis: &Redis, before: Option<&Place>) -> Result<Self, RedisError> {
        let config = &redis.0.config;
        let (conn, pushes) = within(config.connect_timeout, connect(redis)).await?;
        let mut hearing = Self {
            redis: redis.clone(),
            conn,
            pushes,
            number_key: String::new(),
            place: Place { life: String::new(), number: 0 },
            owed: false,
        };
        hearing.place.life = within(ANSWER_WITHIN, life_of(&mut hearing.conn)).await?;
        let prefix = session::prefix(config, &hearing.place.life);
        hearing.number_key = session::number_key(&prefix);
        let channel = session::channel(&prefix);
        within(ANSWER_WITHIN, async { Ok(hearing.conn.subscribe(channel).await?) }).await?;
        hearing.place.number = hearing.last_number().await?;
        if before != Some(&hearing.place) {
            hearing.forget_everything().await;
        }
        Ok(hearing)
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The next push; none when the connection ended.
    pub(super) async fn next(&mut self) -> Option<PushInfo> {
        self.pushes.recv().await.filter(|push| push.kind != PushKind::Disconnection)
    }

    /// Does what a push says.
    pub(super) async fn take(&mut self, push: &PushInfo) {
        let Some(Heard { number, node, news }) = news::hear(push) else { return };
        let expected = self.place.number + 1;
        self.place.number = number;
        if expected != number {
            tracing::warn!(number, expected, "news of other nodes were lost: all is forgotten");
            self.forget_everything().await;
        } else if node != self.redis.0.node {
            self.forget(news).await;
        }
    }

    /// Makes sure that nothing was lost, and does what is owed.
    pub(super) async fn check(&mut self) -> Result<(), RedisError> {
        let last = self.last_number().await?;
        // What was heard when the answer came is in the queue at most; what follows is newer.
        let mut heard = self.place.number == last;
        while let Ok(push) = self.pushes.try_recv() {
            if push.kind == PushKind::Disconnection {
                return Err(RedisError::Closed);
            }
            self.take(&push).await;
            heard |= self.place.number == last;
        }
        if !heard {
            tracing::warn!(last, "news of other nodes were lost: all is forgotten");
            self.place.number = last;
            self.forget_everything().await;
        } else if self.owed {
            self.forget_everything().await;
        }
        Ok(())
    }

    /// The last number; one is made when there is none.
    async fn last_number(&mut self) -> Result<u64, RedisError> {
        let mut ask = redis::pipe();
        ask.cmd("SET").arg(&self.number_key).arg(start()).arg("NX").ignore();
        ask.cmd("GET").arg(&self.number_key);
        let conn = &mut self.conn;
        let (number,) = within(ANSWER_WITHIN, async { Ok(ask.query_async(conn).await?) }).await?;
        Ok(number)
    }

    async fn forget(&mut self, news: News) {
        match news {
            News::Invalidation(message) => {
                let scope = Scope::system("cache.redis", FORGET_WITHIN);
                if let Err(failure) = self.redis.0.invalidations.apply(&scope, message).await {
                    tracing::warn!(%failure, "a revocation of another node is applied again soon");
                    self.owed = true;
                }
            }
            News::Everything => self.forget_everything().await,
            News::Key(_) | News::Tag(_) => self.redis.forget_local(&news),
        }
    }

    async fn forget_everything(&mut self) {
        let forgotten = self.redis.forget_everything().await;
        self.owed = forgotten.is_err();
        if let Err(failure) = forgotten {
            tracing::warn!(%failure, "not all is forgotten yet; it is tried again soon");
        }
    }
}

/// A connection that hears, in the third version of the protocol: there a connection with
/// subscriptions also answers commands.
async fn connect(
    redis: &Redis,
) -> Result<(MultiplexedConnection, mpsc::Receiver<PushInfo>), RedisError> {
    let (sender, pushes) = mpsc::channel(NEWS_MAX);
    let config = client::settings(&redis.0.config).set_push_sender(move |push: PushInfo| {
        if sender.try_send(push).is_err() {
            tracing::debug!("news of other nodes were dropped; the gap will be noticed");
        }
        Ok::<(), redis::aio::SendError>(())
    });
    let info = redis.client().await?.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(info.set_redis_settings(settings))?;
    Ok((client.get_multiplexed_async_connection_with_config(&config).await?, pushes))
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(RedisError::Slow(limit)))
}
