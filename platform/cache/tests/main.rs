//! The cache as its users see it, through the port.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use troupe_cache::{CacheConfig, MemoryCache};
use troupe_kernel::clock::ManualClock;
use troupe_kernel::error::{Failure, FailureKind};
use troupe_kernel::ports::{BoxFuture, Cache};

const MINUTE: Duration = Duration::from_secs(60);

struct Bench {
    clock: Arc<ManualClock>,
    cache: Arc<MemoryCache>,
}

fn bench() -> Bench {
    let clock = Arc::new(ManualClock::default());
    let config = CacheConfig { size_max: 1 << 20, ttl_max: MINUTE };
    Bench { cache: Arc::new(MemoryCache::new(&config, clock.clone())), clock }
}

fn tags(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn loaded(text: &'static str) -> BoxFuture<'static, Result<Bytes, Failure>> {
    Box::pin(async move {
        tokio::task::yield_now().await;
        Ok(Bytes::from_static(text.as_bytes()))
    })
}

fn never() -> BoxFuture<'static, Result<Bytes, Failure>> {
    Box::pin(async { panic!("it must not be loaded") })
}

#[tokio::test]
async fn a_value_is_kept_for_its_time_and_never_longer_than_the_configuration_allows() {
    let Bench { clock, cache } = bench();
    cache.put("short", Bytes::from_static(b"1"), Duration::from_secs(10), &[]).await;
    cache.put("long", Bytes::from_static(b"2"), MINUTE * 60, &[]).await;
    clock.advance(Duration::from_secs(9));
    assert_eq!(cache.get("short").await.unwrap(), "1");
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.get("short").await, None);
    assert_eq!(cache.get("long").await.unwrap(), "2");
    clock.advance(MINUTE);
    assert_eq!(cache.get("long").await, None);
    assert!(cache.is_empty());
}

#[tokio::test]
async fn a_tag_forgets_its_keys_and_no_others() {
    let Bench { cache, .. } = bench();
    for id in 0..50 {
        let tag = tags(&[if id % 2 == 0 { "even" } else { "odd" }, "all"]);
        cache.put(&format!("key:{id}"), Bytes::from_static(b"x"), MINUTE, &tag).await;
    }
    cache.invalidate("even").await.unwrap();
    assert_eq!(cache.len(), 25);
    assert_eq!(cache.get("key:2").await, None);
    assert!(cache.get("key:3").await.is_some());
    cache.invalidate("all").await.unwrap();
    assert_eq!((cache.len(), cache.size_bytes()), (0, 0));
}

#[tokio::test]
async fn memory_stays_within_its_bound() {
    let Bench { cache, .. } = bench();
    for id in 0..20_000 {
        cache.put(&format!("key:{id}"), Bytes::from(vec![0; 500]), MINUTE, &tags(&["t"])).await;
    }
    assert!(cache.size_bytes() <= 1 << 20);
    assert!(cache.len() > 1000, "{} are kept", cache.len());
}

#[tokio::test]
async fn many_that_miss_at_once_cause_one_load() {
    let Bench { cache, .. } = bench();
    let loads = AtomicU32::new(0);
    let ask = || async {
        let load = Box::pin(async {
            loads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(Bytes::from_static(b"page"))
        });
        cache.fill("page", MINUTE, &[], load).await.unwrap()
    };
    let pages = futures_join(&ask).await;
    assert!(pages.iter().all(|page| page == "page"));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    assert_eq!(cache.fill("page", MINUTE, &[], never()).await.unwrap(), "page");
}

async fn futures_join<F: Future<Output = Bytes>>(ask: impl Fn() -> F) -> [Bytes; 4] {
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    [a, b, c, d]
}

#[tokio::test]
async fn a_failed_load_fails_all_who_wait_and_is_not_kept() {
    let Bench { cache, .. } = bench();
    let failing = || {
        let load: BoxFuture<'static, _> = Box::pin(async {
            tokio::task::yield_now().await;
            Err(Failure::unavailable("test.away", "the database is away"))
        });
        load
    };
    let (leader, follower) = tokio::join!(
        cache.fill("page", MINUTE, &[], failing()),
        cache.fill("page", MINUTE, &[], never()),
    );
    assert_eq!(leader.unwrap_err().code(), "test.away");
    assert_eq!(follower.unwrap_err().code(), "test.away");
    assert_eq!(cache.fill("page", MINUTE, &[], loaded("now")).await.unwrap(), "now");
}

#[tokio::test]
async fn a_leader_whose_time_ran_out_leaves_the_load_to_the_next() {
    let Bench { cache, .. } = bench();
    let expired: BoxFuture<'static, _> = Box::pin(async {
        tokio::task::yield_now().await;
        Err(Failure::new(FailureKind::Expired, "test.expired", "too late"))
    });
    let (leader, follower) = tokio::join!(
        cache.fill("page", MINUTE, &[], expired),
        cache.fill("page", MINUTE, &[], loaded("page")),
    );
    assert!(leader.is_err());
    assert_eq!(follower.unwrap(), "page");
}

#[tokio::test]
async fn a_leader_that_is_dropped_leaves_the_load_to_the_next() {
    let Bench { cache, .. } = bench();
    let (sender, receiver) = oneshot::channel::<()>();
    let shared = cache.clone();
    let abandoned = async {
        let load = Box::pin(std::future::pending());
        tokio::select! {
            _ = shared.fill("page", MINUTE, &[], load) => {}
            _ = receiver => {}
        }
    };
    let next = async {
        tokio::task::yield_now().await;
        let waiting = cache.fill("page", MINUTE, &[], loaded("page"));
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the first load is still under way"),
            () = tokio::task::yield_now() => {}
        }
        sender.send(()).unwrap();
        waiting.await
    };
    let ((), page) = tokio::join!(abandoned, next);
    assert_eq!(page.unwrap(), "page");
}

#[tokio::test]
async fn what_was_loaded_before_an_invalidation_is_neither_kept_nor_handed_to_later_askers() {
    let Bench { cache, .. } = bench();
    for forget_by_tag in [true, false] {
        let (read, begin) = oneshot::channel::<()>();
        let post = tags(&["post:1"]);
        let old = cache.fill(
            "page",
            MINUTE,
            &post,
            Box::pin(async {
                begin.await.unwrap();
                Ok(Bytes::from_static(b"old"))
            }),
        );
        let newer = async {
            tokio::task::yield_now().await;
            if forget_by_tag {
                cache.invalidate("post:1").await.unwrap();
            } else {
                cache.remove("page").await.unwrap();
            }
            let new = cache.fill("page", MINUTE, &post, loaded("new")).await.unwrap();
            read.send(()).unwrap();
            new
        };
        let (old, new) = tokio::join!(old, newer);
        assert_eq!((old.unwrap(), new), (Bytes::from_static(b"old"), Bytes::from_static(b"new")));
        assert_eq!(cache.get("page").await.unwrap(), "new");
        cache.remove("page").await.unwrap();
    }
}
