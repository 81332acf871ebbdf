//! Redis away: every call answers at once from what the node has, and all recovers by itself.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use troupe_cache::CacheConfig;
use troupe_kernel::Invalidations;

use crate::house::{
    LONG, Node, config, counted, eventually, loaded, never, prefix, redis_url, tags,
};
use crate::proxy::{Network, Proxy};

/// Two nodes that share a cache; the network of the second can be broken.
async fn pair(change: impl Fn(CacheConfig) -> CacheConfig) -> Option<(Node, Node, Proxy)> {
    let (url, prefix) = (redis_url()?, prefix());
    let proxy = Proxy::before(&url).await;
    let near = Node::start(change(config(&url, &prefix))).await;
    let far = Node::start(change(config(&proxy.url(), &prefix))).await;
    Some((near, far, proxy))
}

#[tokio::test]
async fn a_node_without_redis_starts_and_keeps_for_a_short_time_by_itself() {
    let alone = CacheConfig {
        local_ttl: Duration::from_millis(200),
        ..config("redis://127.0.0.1:1", &prefix())
    };
    let node = Node::start_alone(alone, Invalidations::new()).await;
    let loads = AtomicU32::new(0);
    for _ in 0..5 {
        let page = node.cache.fill("page", LONG, &[], counted(&loads, "page")).await;
        assert_eq!(page.unwrap(), "page");
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    assert_eq!(node.cache.get("page").await.unwrap(), "page");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.cache.get("page").await, None, "others may have changed it");
    node.cache.put("put", Bytes::from_static(b"x"), LONG, &[]).await;
    assert!(node.cache.get("put").await.is_some());
    let wrong = node.redis.health_check().probe().await.unwrap_err();
    assert!(wrong.contains("Redis is away"), "{wrong}");
    assert!(!node.redis.health_check().is_critical());
    node.stop().await;
}

#[tokio::test]
async fn a_broken_connection_is_noticed_costs_nothing_and_heals() {
    let quick = |config| CacheConfig {
        timeout: Duration::from_millis(200),
        local_ttl: Duration::ZERO,
        ..config
    };
    for broken in [Network::Cut, Network::Stalled] {
        let Some((near, far, proxy)) = pair(quick).await else { return };
        near.cache.put("page", Bytes::from_static(b"page"), LONG, &[]).await;
        assert_eq!(far.cache.get("page").await.unwrap(), "page");
        assert!(far.redis.health_check().probe().await.is_ok());
        proxy.set(broken);
        let asked = Instant::now();
        assert_eq!(far.cache.get("page").await, None, "it answers like an empty cache");
        assert!(asked.elapsed() < Duration::from_secs(1), "{broken:?}: {:?}", asked.elapsed());
        far.wait_until_away().await;
        assert!(far.redis.health_check().probe().await.is_err());
        let asked = Instant::now();
        for _ in 0..1000 {
            assert_eq!(far.cache.get("page").await, None);
        }
        assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
        let failure = far.cache.invalidate("tag").await.unwrap_err();
        assert_eq!(failure.code(), "cache.redis.away");
        assert!(near.redis.is_up(), "the other node is not concerned");
        proxy.heal();
        let read = async || far.cache.get("page").await.is_some_and(|page| page == "page");
        eventually("it reads again", read).await;
        assert!(far.redis.health_check().probe().await.is_ok());
    }
}

#[tokio::test]
async fn a_silent_network_is_noticed_without_a_call() {
    let Some((_near, far, proxy)) = pair(|config| config).await else { return };
    proxy.set(Network::Stalled);
    far.wait_until_away().await;
}

#[tokio::test]
async fn a_slow_network_is_not_away() {
    let Some((near, far, proxy)) = pair(|config| config).await else { return };
    proxy.set(Network::Open(Duration::from_millis(30)));
    near.cache.put("page", Bytes::from_static(b"page"), LONG, &[]).await;
    assert_eq!(far.cache.get("page").await.unwrap(), "page");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(far.redis.is_up());
}

#[tokio::test]
async fn what_a_node_invalidates_while_it_is_cut_off_is_told_before_it_reads_again() {
    for by_tag in [true, false] {
        let Some((near, far, proxy)) = pair(|config| config).await else { return };
        let post = tags(&["post:1"]);
        near.cache.put("page", Bytes::from_static(b"old"), LONG, &post).await;
        assert_eq!(far.cache.get("page").await.unwrap(), "old");
        proxy.set(Network::Cut);
        far.wait_until_away().await;
        let forgotten = if by_tag {
            far.cache.invalidate("post:1").await
        } else {
            far.cache.remove("page").await
        };
        assert!(forgotten.is_err(), "it cannot promise for the others");
        assert_eq!(far.cache.get("page").await, None);
        assert!(near.cache.get("page").await.is_some(), "the others do not know");
        proxy.heal();
        let told = async || near.cache.get("page").await.is_none();
        eventually("the others forget", told).await;
        far.wait_until_up().await;
        assert_eq!(far.cache.get("page").await, None);
    }
}

#[tokio::test]
async fn an_invalidation_that_nobody_waits_for_is_told_later() {
    let Some((near, far, proxy)) = pair(|config| config).await else { return };
    near.cache.put("page", Bytes::from_static(b"old"), LONG, &tags(&["post:1"])).await;
    assert!(far.cache.get("page").await.is_some());
    proxy.set(Network::Stalled);
    let within = Duration::from_millis(50);
    let given_up = tokio::time::timeout(within, far.cache.invalidate("post:1")).await;
    assert!(given_up.is_err());
    assert!(near.cache.get("page").await.is_some());
    // The bytes that wait in the network are lost with their connections.
    proxy.set(Network::Cut);
    far.wait_until_away().await;
    proxy.heal();
    eventually("the others forget", async || near.cache.get("page").await.is_none()).await;
}

#[tokio::test]
async fn what_others_invalidated_while_a_node_was_cut_off_it_does_not_read() {
    for broken in [Network::Cut, Network::Stalled] {
        let Some((near, far, proxy)) = pair(|config| config).await else { return };
        let post = tags(&["post:1"]);
        near.cache.put("page", Bytes::from_static(b"old"), LONG, &post).await;
        assert!(far.cache.get("page").await.is_some());
        proxy.set(broken);
        far.wait_until_away().await;
        near.cache.invalidate("post:1").await.unwrap();
        proxy.heal();
        far.wait_until_up().await;
        assert_eq!(far.cache.get("page").await, None);
    }
}

#[tokio::test]
async fn a_node_that_missed_nothing_forgets_nothing() {
    let Some((near, far, proxy)) = pair(|config| config).await else { return };
    near.cache.put("page", Bytes::from_static(b"page"), LONG, &[]).await;
    // The news of the value may arrive after it was read; what comes later is not concerned.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(far.cache.get("page").await.is_some());
    proxy.set(Network::Cut);
    far.wait_until_away().await;
    proxy.heal();
    far.wait_until_up().await;
    proxy.set(Network::Cut);
    assert_eq!(far.cache.fill("page", LONG, &[], never()).await.unwrap(), "page");
}

#[tokio::test]
async fn a_load_that_redis_left_on_the_way_is_handed_on_and_an_invalidation_still_ends_it() {
    let Some((_near, far, proxy)) = pair(|config| config).await else { return };
    let post = tags(&["post:1"]);
    let load = Box::pin(async {
        proxy.set(Network::Cut);
        far.wait_until_away().await;
        Ok(Bytes::from_static(b"page"))
    });
    assert_eq!(far.cache.fill("page", LONG, &post, load).await.unwrap(), "page");
    assert_eq!(far.cache.fill("page", LONG, &post, never()).await.unwrap(), "page");
    assert!(far.cache.invalidate("post:1").await.is_err());
    assert_eq!(far.cache.fill("page", LONG, &post, loaded("new")).await.unwrap(), "new");
}
