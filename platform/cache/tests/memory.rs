//! What only the cache in process promises: its bounds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use troupe_cache::{CacheConfig, MemoryCache};
use troupe_kernel::clock::ManualClock;
use troupe_kernel::ports::Cache as _;

use crate::house::tags;

const MINUTE: Duration = Duration::from_secs(60);

fn cache() -> (MemoryCache, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let config = CacheConfig { size_max: 1 << 20, ttl_max: MINUTE, ..CacheConfig::default() };
    (MemoryCache::new(&config, clock.clone()), clock)
}

#[tokio::test]
async fn memory_stays_within_its_bound() {
    let (cache, _) = cache();
    for id in 0..20_000 {
        cache.put(&format!("key:{id}"), Bytes::from(vec![0; 500]), MINUTE, &tags(&["t"])).await;
    }
    assert!(cache.size_bytes() <= 1 << 20);
    assert!(cache.len() > 1000, "{} are kept", cache.len());
}

#[tokio::test]
async fn what_is_forgotten_takes_no_memory() {
    let (cache, clock) = cache();
    for id in 0..50 {
        let tag = tags(&[if id % 2 == 0 { "even" } else { "odd" }, "all"]);
        cache.put(&format!("key:{id}"), Bytes::from_static(b"x"), MINUTE, &tag).await;
    }
    cache.invalidate("even").await.unwrap();
    assert_eq!(cache.len(), 25);
    cache.invalidate("all").await.unwrap();
    assert_eq!((cache.len(), cache.size_bytes()), (0, 0));
    cache.put("long", Bytes::from_static(b"2"), MINUTE * 60, &[]).await;
    clock.advance(MINUTE);
    assert_eq!(cache.get("long").await, None, "the configuration allows a minute");
    assert!(cache.is_empty());
}
