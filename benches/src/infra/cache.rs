//! The cache: a value of a kilobyte from Redis, beside a `GET` on a connection of bb8-redis.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bb8_redis::RedisConnectionManager;
use bb8_redis::bb8::Pool;
use bytes::Bytes;
use redis::AsyncCommands as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use troupe_actors::{Running, System, SystemConfig};
use troupe_cache::{CacheConfig, Redis, RedisParts};
use troupe_kernel::ports::Cache;
use troupe_kernel::{Invalidations, Secret, SystemClock, Uuid};

use super::{Began, Effort, Job, Row, alternate};

const KEYS: usize = 1_000;
const VALUE_BYTES: usize = 1_024;
const TTL: Duration = Duration::from_secs(3_600);
const UP_WITHIN: Duration = Duration::from_secs(5);

const ONE: Job = Job { name: "cache get, one caller", bare: "bb8-redis, GET", at_least: Some(0.9) };
const MANY: Job =
    Job { name: "cache get, 64 callers", bare: "bb8-redis, GET", at_least: Some(0.9) };
const LOCAL: Job = Job {
    name: "cache get from the local tier, 64 callers",
    bare: "bb8-redis, GET",
    at_least: None,
};

/// A node's connection to Redis.
pub(super) struct Node {
    pub(super) redis: Redis,
    running: Running,
}

impl Node {
    /// Connects a node as it is shipped, under a prefix of its own.
    pub(super) async fn start(
        url: &str,
        prefix: &str,
        local_ttl: Duration,
    ) -> anyhow::Result<Self> {
        let system = System::new(SystemConfig::default());
        let config = CacheConfig {
            url: Secret::new(url),
            prefix: prefix.to_owned(),
            timeout: Duration::from_secs(1),
            local_ttl,
            ..CacheConfig::default()
        };
        let (redis, spec) = Redis::new(RedisParts {
            system: system.clone(),
            config,
            clock: Arc::new(SystemClock),
            invalidations: Invalidations::new(),
        });
        let running = system.start(spec).await?;
        let late = Instant::now() + UP_WITHIN;
        while !redis.is_up() {
            ensure!(Instant::now() < late, "Redis does not answer");
            sleep(Duration::from_millis(5)).await;
        }
        Ok(Self { redis, running })
    }

    pub(super) async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// A prefix of keys that nobody else has.
pub(super) fn prefix() -> String {
    format!("bench-{}", &Uuid::now_v7().simple().to_string()[14..])
}

pub(super) async fn measure(url: &str, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let prefix = prefix();
    let names: Arc<[String]> = (0..KEYS).map(|number| format!("{prefix}-item:{number}")).collect();
    let remote = Node::start(url, &prefix, Duration::ZERO).await?;
    // Longer than a turn, so that each value is read from Redis once.
    let near = Node::start(url, &format!("{prefix}-near"), Duration::from_secs(60)).await?;
    let pool = Pool::builder().build(RedisConnectionManager::new(url)?).await?;
    let value = Bytes::from(vec![b'x'; VALUE_BYTES]);
    for name in &*names {
        for node in [&remote, &near] {
            node.redis.cache().put(name, value.clone(), TTL, &[]).await;
        }
        let mut conn = pool.get().await?;
        let () = conn.set_ex(name, &value[..], TTL.as_secs()).await?;
    }
    let mut rows = Vec::new();
    for (job, node, callers, operations) in
        [(&ONE, &remote, 1, 20_000), (&MANY, &remote, 64, 100_000), (&LOCAL, &near, 64, 100_000)]
    {
        let each = operations / effort.divisor / callers;
        let cache = node.redis.cache();
        let row = alternate(
            job,
            effort.rounds,
            async || {
                let began = Began::now();
                let turn = ours(&cache, &names, callers, each).await;
                turn.map(|()| began.turn(each * callers))
            },
            async || {
                let began = Began::now();
                let turn = bare(&pool, &names, callers, each).await;
                turn.map(|()| began.turn(each * callers))
            },
        );
        rows.push(row.await?);
    }
    let mut conn = pool.get().await?;
    let () = conn.del(&names[..]).await?;
    drop(conn);
    remote.stop().await;
    near.stop().await;
    Ok(rows)
}

fn name(names: &[String], caller: u64, number: u64) -> &str {
    let at = usize::try_from(caller * 31 + number * 7).unwrap_or(0);
    &names[at % names.len()]
}

async fn ours(
    cache: &Arc<dyn Cache>,
    names: &Arc<[String]>,
    callers: u64,
    each: u64,
) -> anyhow::Result<()> {
    let mut set = JoinSet::new();
    for caller in 0..callers {
        let (cache, names) = (cache.clone(), names.clone());
        set.spawn(async move {
            for number in 0..each {
                let value = cache.get(name(&names, caller, number)).await;
                ensure!(value.is_some_and(|value| value.len() == VALUE_BYTES), "a value is gone");
            }
            Ok(())
        });
    }
    joined(set).await
}

async fn bare(
    pool: &Pool<RedisConnectionManager>,
    names: &Arc<[String]>,
    callers: u64,
    each: u64,
) -> anyhow::Result<()> {
    let mut set = JoinSet::new();
    for caller in 0..callers {
        let (pool, names) = (pool.clone(), names.clone());
        set.spawn(async move {
            for number in 0..each {
                let mut conn = pool.get().await?;
                let value: Option<Vec<u8>> = conn.get(name(&names, caller, number)).await?;
                ensure!(value.is_some_and(|value| value.len() == VALUE_BYTES), "a value is gone");
            }
            Ok(())
        });
    }
    joined(set).await
}

/// Waits for all callers.
pub(super) async fn joined(mut set: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = set.join_next().await {
        ended.context("a caller panicked")??;
    }
    Ok(())
}
