//! Nodes that share a Redis, and caches for the contract.

use std::fmt::Debug;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use troupe_actors::{Running, System, SystemConfig};
use troupe_cache::{CacheConfig, MemoryCache, Redis, RedisParts};
use troupe_kernel::clock::{ManualClock, SystemClock};
use troupe_kernel::error::Failure;
use troupe_kernel::ports::{BoxFuture, Cache};
use troupe_kernel::{Invalidations, Secret};
use uuid::Uuid;

const VARIABLE: &str = "TROUPE_TEST_REDIS_URL";

/// Longer than any test takes.
pub const LONG: Duration = Duration::from_secs(50);
/// What happens at once happens within this time on a busy machine.
pub const SOON: Duration = Duration::from_secs(5);

/// The test server; says that the test is skipped when there is none.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration; this is their one variable"
)]
pub fn redis_url() -> Option<String> {
    let url = std::env::var(VARIABLE).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        skipped(&format!("{VARIABLE} is not set"));
    }
    url
}

/// Says on the standard error of the process that a test did not run.
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "TROUPE-SKIPPED redis: {test} ({why})"));
}

/// A prefix that no other test has.
pub fn prefix() -> String {
    format!("t-{}", &Uuid::now_v7().simple().to_string()[14..])
}

/// The configuration of a node of a test.
pub fn config(url: &str, prefix: &str) -> CacheConfig {
    CacheConfig {
        size_max: 4 << 20,
        ttl_max: LONG,
        url: Secret::new(url),
        prefix: prefix.to_owned(),
        connections: 2,
        // A machine that compiles beside the tests stalls for longer than the default.
        timeout: Duration::from_secs(1),
        local_ttl: LONG,
        ..CacheConfig::default()
    }
}

/// A node with a connection to Redis.
pub struct Node {
    pub redis: Redis,
    pub cache: Arc<dyn Cache>,
    pub invalidations: Invalidations,
    running: Running,
}

impl Node {
    /// Starts a node and waits for its session.
    pub async fn start(config: CacheConfig) -> Self {
        let node = Self::start_alone(config, Invalidations::new()).await;
        node.wait_until_up().await;
        node
    }

    /// Starts a node with a hub, whether Redis is there or not.
    pub async fn start_alone(config: CacheConfig, invalidations: Invalidations) -> Self {
        let system = System::new(SystemConfig::default());
        let (redis, spec) = Redis::new(RedisParts {
            system: system.clone(),
            config,
            clock: Arc::new(SystemClock),
            invalidations: invalidations.clone(),
        });
        let running = system.start(spec).await.unwrap();
        Self { cache: redis.cache(), redis, invalidations, running }
    }

    pub async fn wait_until_up(&self) {
        self.wait_until(true).await;
    }

    pub async fn wait_until_away(&self) {
        self.wait_until(false).await;
    }

    async fn wait_until(&self, up: bool) {
        let begun = Instant::now();
        while self.redis.is_up() != up {
            assert!(begun.elapsed() < SOON, "Redis does not become up = {up}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// Waits until something is so.
pub async fn eventually(what: impl Debug, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < SOON, "it never came to be: {what:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A cache of the contract.
pub struct TestCache {
    pub cache: Arc<dyn Cache>,
    clock: Option<Arc<ManualClock>>,
}

impl TestCache {
    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => tokio::time::sleep(time).await,
        }
    }
}

/// Runs a test of the contract on every cache there is, each empty.
pub async fn for_each_cache(test: impl AsyncFn(&TestCache)) {
    let clock = Arc::new(ManualClock::default());
    let memory = MemoryCache::new(&config("", "-"), clock.clone());
    test(&TestCache { cache: Arc::new(memory), clock: Some(clock) }).await;
    let Some(url) = redis_url() else { return };
    for local_ttl in [LONG, Duration::ZERO] {
        let node = Node::start(CacheConfig { local_ttl, ..config(&url, &prefix()) }).await;
        test(&TestCache { cache: node.cache.clone(), clock: None }).await;
        assert!(node.redis.is_up(), "the cache was that of one node alone");
        node.stop().await;
    }
}

pub fn tags(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub fn loaded(text: &str) -> BoxFuture<'static, Result<Bytes, Failure>> {
    let text = Bytes::copy_from_slice(text.as_bytes());
    Box::pin(async move {
        tokio::task::yield_now().await;
        Ok(text)
    })
}

pub fn never() -> BoxFuture<'static, Result<Bytes, Failure>> {
    Box::pin(async { panic!("it must not be loaded") })
}

/// A load that is counted and takes a while.
pub fn counted<'a>(loads: &'a AtomicU32, text: &'a str) -> BoxFuture<'a, Result<Bytes, Failure>> {
    Box::pin(async move {
        loads.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(30)).await;
        Ok(Bytes::copy_from_slice(text.as_bytes()))
    })
}
