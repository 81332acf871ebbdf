//! What the nodes of an installation share in Redis.
//!
//! One actor ([`link`]) holds the subscription on which nodes tell each other what to forget. While
//! it stands, there is a [`Session`]; when it falls, or a call fails, there is none and nothing is
//! asked. So a node never reads from Redis what it would not hear invalidated, and a Redis that is
//! away costs a look at a lock.

mod broadcast;
mod cache;
mod client;
mod entry;
mod error;
mod hearing;
mod ledger;
mod link;
mod login;
mod news;
mod pending;
mod scripts;
mod session;

use std::sync::Arc;
use std::time::Duration;

use metrics::Gauge;
use parking_lot::RwLock;
use troupe_actors::{ChildSpec, Failure, Scope, Supervisor, System};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::invalidation::{PermissionsChanged, RevokeEverybody};
use troupe_kernel::ports::{Cache, QuotaLedger};
use troupe_kernel::{HealthCheck, Invalidations, Secret};

pub use cache::RedisCache;
pub use error::RedisError;

use self::ledger::RedisLedger;
use self::news::News;
use self::pending::Pending;
use self::session::Session;
use crate::config::CacheConfig;
use crate::local::LocalTier;
use crate::memory::MemoryCache;

/// Time the caches of this node have to forget what another node revoked.
const FORGET_WITHIN: Duration = Duration::from_secs(2);
/// How often it is seen whether the others were told.
const TOLD_POLL: Duration = Duration::from_millis(5);
/// Entries that are looked at in one step when all are removed.
const SCAN_COUNT: usize = 1000;

/// What the connection to Redis is made of.
pub struct RedisParts {
    /// The actor system.
    pub system: System,
    /// The section `cache`, with a URL.
    pub config: CacheConfig,
    /// The clock.
    pub clock: SharedClock,
    /// The hub whose messages go to the other nodes and come from them.
    pub invalidations: Invalidations,
}

/// The Redis of the installation, as this node sees it. Clones share it.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    config: CacheConfig,
    /// The address with the login that new connections use.
    url: RwLock<Secret>,
    /// Tells the news of this process from those of others.
    node: u64,
    session: RwLock<Option<Arc<Session>>>,
    /// Why there is no session.
    reason: RwLock<String>,
    local: LocalTier,
    pending: Pending,
    invalidations: Invalidations,
    up: Gauge,
}

impl Redis {
    /// A connection that the specification opens, and opens again whenever it breaks. Make it after
    /// the metrics recorder is installed.
    ///
    /// From here on, what is published on the hub reaches the other nodes.
    #[must_use]
    pub fn new(parts: RedisParts) -> (Self, ChildSpec) {
        let RedisParts { system, config, clock, invalidations } = parts;
        let local = LocalTier::new(MemoryCache::new(&config, clock));
        let redis = Self(Arc::new(Shared {
            url: RwLock::new(config.url.clone()),
            node: rand::random(),
            session: RwLock::new(None),
            reason: RwLock::new("it is not connected yet".to_owned()),
            local,
            pending: Pending::default(),
            invalidations,
            up: metrics::gauge!("troupe_redis_up"),
            config,
        }));
        redis.0.up.set(0.0);
        let (relay, relay_child) = broadcast::service(&system, redis.clone());
        redis.0.invalidations.relay_through(relay);
        let spec = Supervisor::new(&system, "redis")
            .child(link::service(&system, redis.clone()))
            .child(relay_child)
            .into_spec();
        (redis, spec)
    }

    /// The cache port.
    #[must_use]
    pub fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(RedisCache::new(self.clone()))
    }

    /// The port that counts quotas over all nodes.
    #[must_use]
    pub fn ledger(&self) -> Arc<dyn QuotaLedger> {
        Arc::new(RedisLedger::new(self.clone()))
    }

    /// Fails while Redis is away. Not critical: the node serves without it.
    #[must_use]
    pub fn health_check(&self) -> HealthCheck {
        let redis = self.clone();
        let probe = move || {
            let wrong = (!redis.is_up()).then(|| {
                let reason = redis.0.reason.read().clone();
                format!(
                    "Redis is away: {reason}; caches and rate limits are those of this node alone, \
                     revocations by other nodes take effect late; start it or mend cache.url"
                )
            });
            let answer: troupe_kernel::BoxFuture<'static, _> =
                Box::pin(std::future::ready(wrong.map_or(Ok(()), Err)));
            answer
        };
        HealthCheck::new("redis", Arc::new(probe))
    }

    /// Whether Redis is used now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.session().is_ok()
    }

    /// Waits until the other nodes were told everything that this one revoked and invalidated, at
    /// most `within`; answers whether they were.
    pub async fn all_told(&self, within: Duration) -> bool {
        let told = async {
            while !self.0.pending.is_empty() {
                tokio::time::sleep(TOLD_POLL).await;
            }
        };
        tokio::time::timeout(within, told).await.is_ok()
    }

    /// The address and login of connections that are made now.
    fn url(&self) -> Secret {
        self.0.url.read().clone()
    }

    fn session(&self) -> Result<Arc<Session>, RedisError> {
        let session = self.0.session.read().clone();
        session.filter(|session| session.stands()).ok_or(RedisError::Away)
    }

    /// Tells all other nodes, and forgets in Redis what the news are about. When it answers, Redis
    /// has done it; when it fails or is dropped, it is done later.
    async fn tell(&self, news: News) -> Result<(), RedisError> {
        let promise = self.0.pending.promise(news.clone());
        self.tell_by(&*self.session()?, &news).await?;
        promise.kept();
        Ok(())
    }

    async fn tell_by(&self, session: &Session, news: &News) -> Result<(), RedisError> {
        let mut keys = vec![session.number_key()];
        match news {
            News::Key(key) => keys.extend([session.entry_key(key), session.lease_key(key)]),
            News::Tag(tag) => keys.push(session.token_key(tag)),
            News::Invalidation(_) => {}
            News::Everything => remove_entries(session).await?,
        }
        let body = news.encode(self.0.node);
        session.script(&scripts::TELL, &keys, &[start().as_bytes(), body.as_bytes()]).await
    }

    /// Tells what could not be told before; the rest stays when it fails.
    async fn tell_pending(&self, session: &Session) -> Result<(), RedisError> {
        let mut waiting = self.0.pending.take().into_iter();
        while let Some(news) = waiting.next() {
            if let Err(error) = self.tell_by(session, &news).await {
                self.0.pending.add(news);
                waiting.for_each(|news| self.0.pending.add(news));
                return Err(error);
            }
        }
        Ok(())
    }

    fn forget_local(&self, news: &News) {
        match news {
            News::Key(key) => self.0.local.forget_key(key),
            News::Tag(tag) => self.0.local.forget_tag(tag),
            News::Everything => self.0.local.forget_all(),
            News::Invalidation(_) => {}
        }
    }

    /// Makes everything on this node forget what another node may have changed unheard.
    async fn forget_everything(&self) -> Result<(), Failure> {
        metrics::counter!("troupe_redis_forgot_everything_total").increment(1);
        self.0.local.forget_all();
        self.forget_identities().await
    }

    /// Makes the gates ask again who people are and what they may do.
    async fn forget_identities(&self) -> Result<(), Failure> {
        let scope = Scope::system("cache.redis", FORGET_WITHIN);
        let hub = &self.0.invalidations;
        let revoked = hub.apply(&scope, RevokeEverybody).await;
        let changed = hub.apply(&scope, PermissionsChanged::default()).await;
        revoked.and(changed)
    }
}

/// The number of the first news in a key that was lost: random, so that nobody takes it for the next
/// one of those before.
fn start() -> String {
    (rand::random::<u64>() >> 16).max(1).to_string()
}

/// Removes every value, and with leases and tokens the right to keep what is being loaded.
async fn remove_entries(session: &Session) -> Result<(), RedisError> {
    let pattern = session.cache_pattern();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
        let (next, keys): (u64, Vec<Vec<u8>>) = session.command(&scan).await?;
        if !keys.is_empty() {
            let _: u64 = session.command(redis::cmd("UNLINK").arg(&keys)).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
