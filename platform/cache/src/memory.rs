//! The cache of one process.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use bytes::Bytes;
use metrics::{Counter, Gauge};
use parking_lot::Mutex;
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::error::Failure;
use troupe_kernel::ports::{BoxFuture, Cache};

use crate::config::CacheConfig;
use crate::flight::{Landing, Leader};
use crate::shard::{Found, NewEntry, Shard};

/// Parts of the keys; each has a lock of its own.
const SHARDS: usize = 16;

/// A cache in the memory of this process, bounded by bytes.
pub struct MemoryCache {
    clock: SharedClock,
    ttl_max: Duration,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    meters: Meters,
}

/// What a load brought, and for how long it may be kept; not at all for no time.
pub(crate) struct Loaded {
    pub(crate) landing: Landing,
    pub(crate) ttl: Duration,
}

struct Meters {
    hits: Counter,
    misses: Counter,
    shared: Counter,
    evictions: Counter,
    refused: Counter,
    bytes: Gauge,
    entries: Gauge,
}

impl Meters {
    fn new() -> Self {
        Self {
            hits: metrics::counter!("troupe_cache_hits_total"),
            misses: metrics::counter!("troupe_cache_misses_total"),
            shared: metrics::counter!("troupe_cache_shared_loads_total"),
            evictions: metrics::counter!("troupe_cache_evictions_total"),
            refused: metrics::counter!("troupe_cache_too_large_total"),
            bytes: metrics::gauge!("troupe_cache_bytes"),
            entries: metrics::gauge!("troupe_cache_entries"),
        }
    }
}

impl MemoryCache {
    /// An empty cache. Make it after the metrics recorder is installed.
    #[must_use]
    pub fn new(config: &CacheConfig, clock: SharedClock) -> Self {
        let bytes_max = usize::try_from(config.size_max).unwrap_or(usize::MAX) / SHARDS;
        Self {
            clock,
            ttl_max: config.ttl_max,
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(bytes_max))).collect(),
            meters: Meters::new(),
        }
    }

    /// Bytes that it holds now.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().bytes()).sum()
    }

    /// Values that it holds now, the expired ones that nobody asked for among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &str) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(key);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
    }

    pub(crate) fn read(&self, key: &str) -> Option<Bytes> {
        let value = self.shard(key).lock().get(key, self.clock.now());
        self.count(value.is_some());
        value
    }

    fn count(&self, hit: bool) {
        if hit { self.meters.hits.increment(1) } else { self.meters.misses.increment(1) }
    }

    pub(crate) fn keep(&self, key: &str, value: Bytes, ttl: Duration, tags: &[String]) {
        let now = self.clock.now();
        let expires = self.expires(now, ttl);
        let mut shard = self.shard(key).lock();
        let (bytes, len) = (shard.bytes(), shard.len());
        match shard.put(NewEntry { key, value, tags, expires }, now) {
            Some(evicted) => self.meters.evictions.increment(evicted),
            None => self.meters.refused.increment(1),
        }
        self.account(&shard, bytes, len);
    }

    pub(crate) fn forget_key(&self, key: &str) {
        self.change(self.shard(key), |shard| shard.remove(key));
    }

    pub(crate) fn forget_tag(&self, tag: &str) {
        for shard in &self.shards {
            self.change(shard, |shard| shard.invalidate(tag));
        }
    }

    /// Forgets everything, and what is being loaded.
    pub(crate) fn forget_all(&self) {
        for shard in &self.shards {
            self.change(shard, Shard::clear);
        }
    }

    fn change(&self, shard: &Mutex<Shard>, change: impl FnOnce(&mut Shard)) {
        let mut shard = shard.lock();
        let (bytes, len) = (shard.bytes(), shard.len());
        change(&mut shard);
        self.account(&shard, bytes, len);
    }

    /// Moves the gauges by what a shard gained or lost.
    fn account(&self, shard: &Shard, bytes_before: usize, len_before: usize) {
        self.meters.bytes.increment(difference(shard.bytes(), bytes_before));
        self.meters.entries.increment(difference(shard.len(), len_before));
    }

    fn expires(&self, now: Timestamp, ttl: Duration) -> Timestamp {
        now.plus(ttl.min(self.ttl_max))
    }

    /// The value of a key; if there is none, what `load` brings, loaded once for all who ask.
    pub(crate) async fn fill_once(
        &self,
        key: &str,
        tags: &[String],
        load: impl Future<Output = Loaded>,
    ) -> Landing {
        let mut counted = false;
        loop {
            let found = self.shard(key).lock().find(key, tags, self.clock.now());
            if !counted {
                self.count(matches!(found, Found::Value(_)));
                counted = true;
            }
            match found {
                Found::Value(value) => return Ok(value),
                Found::Flight(follower) => {
                    self.meters.shared.increment(1);
                    // A leader that gave up leaves the key to whoever comes first.
                    if let Some(landing) = follower.landed().await {
                        return landing;
                    }
                }
                Found::Nothing(leader) => {
                    let mut lead = Lead { cache: self, key, leader: Some(leader) };
                    let Loaded { landing, ttl } = load.await;
                    lead.land(&landing, ttl, tags);
                    return landing;
                }
            }
        }
    }
}

/// The lead of a load; when it is dropped on the way, the key is free for the next.
struct Lead<'a> {
    cache: &'a MemoryCache,
    key: &'a str,
    leader: Option<Leader>,
}

impl Lead<'_> {
    fn land(&mut self, landing: &Landing, ttl: Duration, tags: &[String]) {
        let Some(leader) = self.leader.take() else { return };
        let fresh = self.cache.shard(self.key).lock().end_flight(self.key, leader.number);
        if let Ok(value) = landing
            && fresh
            && !ttl.is_zero()
        {
            self.cache.keep(self.key, value.clone(), ttl, tags);
        }
        leader.land(landing);
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if let Some(leader) = self.leader.take() {
            self.cache.shard(self.key).lock().end_flight(self.key, leader.number);
        }
    }
}

impl Cache for MemoryCache {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>> {
        Box::pin(std::future::ready(self.read(key)))
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        ttl: Duration,
        tags: &'a [String],
    ) -> BoxFuture<'a, ()> {
        self.keep(key, value, ttl, tags);
        Box::pin(std::future::ready(()))
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        ttl: Duration,
        tags: &'a [String],
        load: BoxFuture<'a, Result<Bytes, Failure>>,
    ) -> BoxFuture<'a, Result<Bytes, Failure>> {
        let load = async move { Loaded { landing: load.await, ttl } };
        Box::pin(self.fill_once(key, tags, load))
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.forget_key(key);
        Box::pin(std::future::ready(Ok(())))
    }

    fn invalidate<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.forget_tag(tag);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of a cache stay far below 2^53")]
fn difference(after: usize, before: usize) -> f64 {
    after as f64 - before as f64
}
