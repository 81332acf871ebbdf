//! The cache port over Redis, with the tier of this process before it.

use std::time::Duration;

use bytes::Bytes;
use metrics::Counter;
use redis::{Value, from_redis_value};
use tokio::time::{Instant, sleep};
use troupe_actors::Backoff;
use troupe_kernel::error::Failure;
use troupe_kernel::ports::{BoxFuture, Cache};

use super::entry::{self, Entry, TOKEN_BYTES};
use super::error::RedisError;
use super::news::News;
use super::session::Session;
use super::{Redis, scripts, start};
use crate::flight::Landing;
use crate::local::{Fetched, LocalTier};
use crate::memory::Loaded;

/// Waits between looks for what another node loads.
const LOOK_AGAIN: Backoff = Backoff {
    first: Duration::from_millis(2),
    max: Duration::from_millis(50),
    jitter_percent: 25,
    seed: 0x6c6f_6164,
};

/// The cache that the nodes share.
pub struct RedisCache {
    redis: Redis,
    hits: Counter,
    misses: Counter,
    waits: Counter,
}

/// What was found in Redis, and how long it is still good.
struct Found {
    value: Bytes,
    left: Duration,
}

/// How a question for the right to load ended.
enum Lease {
    Found(Found),
    /// Another node loads.
    Taken,
    Granted,
}

/// A key with what it takes to write it.
struct Subject<'a> {
    key: &'a str,
    tags: &'a [String],
    names: Vec<u8>,
    ttl: Duration,
}

impl Subject<'_> {
    /// The keys of the scripts.
    fn keys(&self, session: &Session) -> Vec<String> {
        let mut keys =
            vec![session.number_key(), session.entry_key(self.key), session.lease_key(self.key)];
        keys.extend(self.tags.iter().map(|tag| session.token_key(tag)));
        keys
    }
}

impl RedisCache {
    pub(super) fn new(redis: Redis) -> Self {
        Self {
            redis,
            hits: metrics::counter!("troupe_cache_redis_hits_total"),
            misses: metrics::counter!("troupe_cache_redis_misses_total"),
            waits: metrics::counter!("troupe_cache_redis_waits_total"),
        }
    }

    fn local(&self) -> &LocalTier {
        &self.redis.0.local
    }

    /// How long this process keeps what is good for `left`.
    fn local_ttl(&self, left: Duration) -> Duration {
        left.min(self.redis.0.config.local_ttl)
    }

    fn subject<'a>(&self, key: &'a str, ttl: Duration, tags: &'a [String]) -> Option<Subject<'a>> {
        let ttl = ttl.min(self.redis.0.config.ttl_max);
        if ttl < Duration::from_millis(1) {
            return None;
        }
        Some(Subject { key, tags, names: entry::names(tags)?, ttl })
    }

    async fn read(&self, key: &str) -> Option<Bytes> {
        if let Some(value) = self.local().memory.read(key) {
            return Some(value);
        }
        let session = self.redis.session().ok()?;
        let since = self.local().position();
        let (found, tags) = self.look(&session, key, &[]).await.ok()??;
        let ttl = self.local_ttl(found.left);
        let fetched = Fetched { value: found.value.clone(), ttl, tags: &tags };
        self.local().keep_read(key, since, &fetched);
        Some(found.value)
    }

    /// The value of a key with its tags, if all of them have their tokens. One round trip when the
    /// tags are as expected.
    async fn look(
        &self,
        session: &Session,
        key: &str,
        expected: &[String],
    ) -> Result<Option<(Found, Vec<String>)>, RedisError> {
        let entry_key = session.entry_key(key);
        let mut ask = redis::pipe();
        ask.cmd("GET").arg(&entry_key);
        ask.cmd("PTTL").arg(&entry_key);
        if !expected.is_empty() {
            ask.add_command(tokens_of(session, expected));
        }
        let mut answers: Vec<Value> = session.pipeline(&ask).await?;
        let tokens = if expected.is_empty() { None } else { answers.pop() };
        let left = left(answers.pop());
        let Some(entry) = answers.pop().and_then(bulk).and_then(|bytes| entry::parse(&bytes))
        else {
            self.misses.increment(1);
            return Ok(None);
        };
        let row = match tokens {
            _ if entry.tags.is_empty() => Some(Vec::new()),
            Some(tokens) if entry.tags == expected => {
                entry::row(from_redis_value(tokens).map_err(redis::RedisError::from)?)
            }
            _ => entry::row(session.command(&tokens_of(session, &entry.tags)).await?),
        };
        let Entry { tags, tokens, value } = entry;
        if row.is_none_or(|row| row != tokens) || left.is_zero() {
            self.misses.increment(1);
            return Ok(None);
        }
        self.hits.increment(1);
        Ok(Some((Found { value, left }, tags)))
    }

    /// Brings a value from Redis, or from `load` in agreement with the other nodes.
    async fn bring(&self, subject: &Subject<'_>, load: BoxFuture<'_, Landing>) -> Loaded {
        let ttl = self.local_ttl(subject.ttl);
        let Ok(session) = self.redis.session() else {
            return Loaded { landing: load.await, ttl };
        };
        match self.look(&session, subject.key, subject.tags).await {
            Ok(Some((found, _))) => return self.found(found),
            Ok(None) => {}
            Err(_) => return Loaded { landing: load.await, ttl },
        }
        let owner = self.owner();
        let until = Instant::now() + self.redis.0.config.load_wait;
        for tries in 0.. {
            match self.lease(&session, subject, &owner).await {
                Ok(Lease::Found(found)) => return self.found(found),
                Ok(Lease::Granted) => {
                    let landing = load.await;
                    let kept = self.land(&session, subject, &owner, &landing).await;
                    return Loaded { landing, ttl: if kept { ttl } else { Duration::ZERO } };
                }
                Ok(Lease::Taken) if Instant::now() < until => {
                    self.waits.increment(1);
                    sleep(LOOK_AGAIN.wait(tries, self.redis.0.node)).await;
                }
                // The other node takes too long, or Redis went away.
                Ok(Lease::Taken) | Err(_) => break,
            }
        }
        Loaded { landing: load.await, ttl }
    }

    fn found(&self, found: Found) -> Loaded {
        Loaded { landing: Ok(found.value), ttl: self.local_ttl(found.left) }
    }

    /// A name for one load: that of the node, and a number.
    fn owner(&self) -> [u8; TOKEN_BYTES] {
        let mut owner = [0; TOKEN_BYTES];
        owner[..8].copy_from_slice(&self.redis.0.node.to_be_bytes());
        owner[8..].copy_from_slice(&rand::random::<u64>().to_be_bytes());
        owner
    }

    async fn lease(
        &self,
        session: &Session,
        subject: &Subject<'_>,
        owner: &[u8; TOKEN_BYTES],
    ) -> Result<Lease, RedisError> {
        let lease = millis(self.redis.0.config.load_lease);
        let arguments: [&[u8]; 4] = [&subject.names, &fresh_token(), owner, lease.as_bytes()];
        let keys = subject.keys(session);
        let mut answer: Vec<Value> = session.script(&scripts::LEASE, &keys, &arguments).await?;
        if answer.len() == 3 {
            let left = left(answer.pop());
            if let Some(value) = answer.pop().and_then(bulk) {
                return Ok(Lease::Found(Found { value, left }));
            }
        }
        let granted = matches!(answer.first(), Some(Value::Int(3)));
        Ok(if granted { Lease::Granted } else { Lease::Taken })
    }

    /// Ends a load that was granted; answers whether its value may be kept.
    async fn land(
        &self,
        session: &Session,
        subject: &Subject<'_>,
        owner: &[u8; TOKEN_BYTES],
        landing: &Landing,
    ) -> bool {
        let keys = subject.keys(session);
        let Ok(value) = landing else {
            let released: Result<(), _> =
                session.script(&scripts::RELEASE, &keys[..3], &[owner]).await;
            // What is not given back ends by itself.
            drop(released);
            return false;
        };
        let ttl = millis(subject.ttl);
        let arguments: [&[u8]; 4] = [&subject.names, owner, value, ttl.as_bytes()];
        // Without Redis, an invalidation by this node has ended the flight.
        session.script(&scripts::KEEP, &keys, &arguments).await.unwrap_or(true)
    }

    async fn write(&self, subject: &Subject<'_>, value: &Bytes) -> Result<(), RedisError> {
        let session = self.redis.session()?;
        let body = News::Key(subject.key.to_owned()).encode(self.redis.0.node);
        let (first, token, ttl) = (start(), fresh_token(), millis(subject.ttl));
        let arguments: [&[u8]; 6] =
            [first.as_bytes(), body.as_bytes(), &subject.names, &token, value, ttl.as_bytes()];
        session.script(&scripts::PUT, &subject.keys(&session), &arguments).await
    }

    async fn keep(&self, key: &str, value: Bytes, ttl: Duration, tags: &[String]) {
        let Some(subject) = self.subject(key, ttl, tags) else { return };
        let since = self.local().position();
        self.local().memory.forget_key(key);
        if let Err(error) = self.write(&subject, &value).await
            && !matches!(error, RedisError::Away)
        {
            // An older value may still be there, or this one; neither is wrong for long.
            tracing::debug!(key, reason = error.told(), "a value was not kept in Redis");
        }
        let ttl = self.local_ttl(subject.ttl);
        self.local().keep_read(key, since, &Fetched { value, ttl, tags });
    }

    /// Forgets here and in Redis.
    async fn forget(&self, news: News) -> Result<(), Failure> {
        // First here as well: Redis may be long in answering, and the caller may not wait for it.
        self.redis.forget_local(&news);
        let told = self.redis.tell(news.clone()).await;
        self.redis.forget_local(&news);
        Ok(told?)
    }
}

impl Cache for RedisCache {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        Box::pin(self.read(key))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        ttl: Duration,
        tags: &'a [String],
    ) -> BoxFuture<'a, ()> {
        Box::pin(self.keep(key, value, ttl, tags))
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        ttl: Duration,
        tags: &'a [String],
        load: BoxFuture<'a, Result<Bytes, Failure>>,
    ) -> BoxFuture<'a, Result<Bytes, Failure>> {
        let Some(subject) = self.subject(key, ttl, tags) else { return load };
        Box::pin(async move {
            self.local().memory.fill_once(key, tags, self.bring(&subject, load)).await
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.forget(News::Key(key.to_owned())))
    }

    fn invalidate<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.forget(News::Tag(tag.to_owned())))
    }
}

fn tokens_of(session: &Session, tags: &[String]) -> redis::Cmd {
    let mut ask = redis::cmd("MGET");
    for tag in tags {
        ask.arg(session.token_key(tag));
    }
    ask
}

fn fresh_token() -> [u8; TOKEN_BYTES] {
    rand::random()
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// The text of an answer, without a copy.
fn bulk(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(text) => Some(Bytes::from(text)),
        _ => None,
    }
}

/// What is left of a key's time.
fn left(value: Option<Value>) -> Duration {
    match value {
        Some(Value::Int(millis)) => Duration::from_millis(u64::try_from(millis).unwrap_or(0)),
        _ => Duration::ZERO,
    }
}
