//! What every cache promises, whatever is behind it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use troupe_kernel::error::{Failure, FailureKind};
use troupe_kernel::ports::BoxFuture;

use crate::house::{LONG, TestCache, counted, for_each_cache, loaded, never, tags};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_value_is_kept_for_its_time_and_no_longer() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        assert_eq!(cache.get("short").await, None);
        cache.put("short", Bytes::from_static(b"1"), SHORT, &[]).await;
        cache.put("long", Bytes::from_static(b"2"), LONG, &[]).await;
        assert_eq!(cache.fill("filled", SHORT, &[], loaded("3")).await.unwrap(), "3");
        assert_eq!(cache.get("short").await.unwrap(), "1");
        assert_eq!(cache.get("filled").await.unwrap(), "3");
        house.pass(SHORT).await;
        assert_eq!(cache.get("short").await, None);
        assert_eq!(cache.get("filled").await, None);
        assert_eq!(cache.fill("filled", SHORT, &[], loaded("4")).await.unwrap(), "4");
        assert_eq!(cache.get("long").await.unwrap(), "2");
        cache.put("nothing", Bytes::from_static(b"5"), Duration::ZERO, &[]).await;
        assert_eq!(cache.get("nothing").await, None);
    })
    .await;
}

#[tokio::test]
async fn the_latest_value_of_a_key_is_the_one_that_is_kept() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        for value in ["1", "22", ""] {
            let post = tags(&["post:1"]);
            cache.put("page", Bytes::from_static(value.as_bytes()), LONG, &post).await;
            assert_eq!(cache.get("page").await.unwrap(), value);
            assert_eq!(cache.fill("page", LONG, &post, never()).await.unwrap(), value);
        }
        cache.put("page", Bytes::from_static(b"other tags"), LONG, &tags(&["b", "c"])).await;
        assert_eq!(
            cache.fill("page", LONG, &tags(&["post:1"]), never()).await.unwrap(),
            "other tags",
            "who asks need not name the same tags"
        );
        cache.invalidate("post:1").await.unwrap();
        assert_eq!(cache.get("page").await.unwrap(), "other tags");
    })
    .await;
}

#[tokio::test]
async fn keys_tags_and_values_may_be_any_text_and_any_bytes() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        let odd = ["", " ", "a\nb\0c", "\u{e4}\u{1f980}", "*", "[elt]:*", "k:{1}"];
        let every_byte: Vec<u8> = (0..=255).collect();
        for text in odd {
            cache.put(text, Bytes::from(every_byte.clone()), LONG, &tags(&[text, "all"])).await;
        }
        for text in odd {
            assert_eq!(cache.get(text).await.unwrap(), every_byte, "{text:?}");
            cache.invalidate(text).await.unwrap();
            assert_eq!(cache.get(text).await, None, "{text:?}");
        }
        let large = Bytes::from(vec![7; 60_000]);
        cache.put("large", large.clone(), LONG, &[]).await;
        assert_eq!(cache.get("large").await.unwrap(), large);
    })
    .await;
}

#[tokio::test]
async fn a_tag_forgets_its_keys_and_no_others() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        for id in 0..50 {
            let tag = tags(&[if id % 2 == 0 { "even" } else { "odd" }, "all"]);
            cache.put(&format!("key:{id}"), Bytes::from_static(b"x"), LONG, &tag).await;
        }
        cache.invalidate("even").await.unwrap();
        for id in 0..50 {
            let kept = cache.get(&format!("key:{id}")).await.is_some();
            assert_eq!(kept, id % 2 == 1, "{id}");
        }
        cache.invalidate("all").await.unwrap();
        for id in 0..50 {
            assert_eq!(cache.get(&format!("key:{id}")).await, None);
        }
        cache.invalidate("nobody has it").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_removed_key_is_gone_and_its_neighbours_stay() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        for key in ["a", "b"] {
            cache.put(key, Bytes::from_static(b"x"), LONG, &tags(&["t"])).await;
        }
        cache.remove("a").await.unwrap();
        cache.remove("unknown").await.unwrap();
        assert_eq!(cache.get("a").await, None);
        assert!(cache.get("b").await.is_some());
    })
    .await;
}

#[tokio::test]
async fn many_that_miss_at_once_cause_one_load() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        let loads = AtomicU32::new(0);
        let post = tags(&["post:1"]);
        let ask =
            || async { cache.fill("page", LONG, &post, counted(&loads, "page")).await.unwrap() };
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        assert!([a, b, c, d].iter().all(|page| page == "page"));
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(cache.fill("page", LONG, &post, never()).await.unwrap(), "page");
    })
    .await;
}

#[tokio::test]
async fn a_failed_load_fails_all_who_wait_and_is_not_kept() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        let failing: BoxFuture<'static, _> = Box::pin(async {
            tokio::task::yield_now().await;
            Err(Failure::unavailable("test.away", "the database is away"))
        });
        let (leader, follower) = tokio::join!(
            cache.fill("page", LONG, &[], failing),
            cache.fill("page", LONG, &[], never()),
        );
        assert_eq!(leader.unwrap_err().code(), "test.away");
        assert_eq!(follower.unwrap_err().code(), "test.away");
        assert_eq!(cache.fill("page", LONG, &[], loaded("now")).await.unwrap(), "now");
    })
    .await;
}

#[tokio::test]
async fn a_leader_whose_time_ran_out_leaves_the_load_to_the_next() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        let expired: BoxFuture<'static, _> = Box::pin(async {
            tokio::task::yield_now().await;
            Err(Failure::new(FailureKind::Expired, "test.expired", "too late"))
        });
        let (leader, follower) = tokio::join!(
            cache.fill("page", LONG, &[], expired),
            cache.fill("page", LONG, &[], loaded("page")),
        );
        assert!(leader.is_err());
        assert_eq!(follower.unwrap(), "page");
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_is_dropped_leaves_the_load_to_the_next_and_its_value_is_kept() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        let (begun, began) = oneshot::channel::<()>();
        let (give_up, given_up) = oneshot::channel::<()>();
        let shared = cache.clone();
        let abandoned = async {
            let load = Box::pin(async {
                begun.send(()).unwrap();
                std::future::pending().await
            });
            tokio::select! {
                _ = shared.fill("page", LONG, &[], load) => {}
                _ = given_up => {}
            }
        };
        let next = async {
            began.await.unwrap();
            let waiting = cache.fill("page", LONG, &[], loaded("page"));
            tokio::pin!(waiting);
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("the first load is still under way"),
                () = tokio::task::yield_now() => {}
            }
            give_up.send(()).unwrap();
            waiting.await
        };
        let ((), page) = tokio::join!(abandoned, next);
        assert_eq!(page.unwrap(), "page");
        assert_eq!(cache.get("page").await.unwrap(), "page");
    })
    .await;
}

#[tokio::test]
async fn what_was_loaded_before_an_invalidation_is_neither_kept_nor_handed_to_later_askers() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        for forget_by_tag in [true, false] {
            let (begun, began) = oneshot::channel::<()>();
            let (read, begin) = oneshot::channel::<()>();
            let post = tags(&["post:1"]);
            let old = cache.fill(
                "page",
                LONG,
                &post,
                Box::pin(async {
                    begun.send(()).unwrap();
                    begin.await.unwrap();
                    Ok(Bytes::from_static(b"old"))
                }),
            );
            let newer = async {
                began.await.unwrap();
                if forget_by_tag {
                    cache.invalidate("post:1").await.unwrap();
                } else {
                    cache.remove("page").await.unwrap();
                }
                let new = cache.fill("page", LONG, &post, loaded("new")).await.unwrap();
                read.send(()).unwrap();
                new
            };
            let (old, new) = tokio::join!(old, newer);
            assert_eq!((old.unwrap(), new), ("old".into(), "new".into()));
            assert_eq!(cache.get("page").await.unwrap(), "new");
            cache.remove("page").await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_loaded_before_an_invalidation_is_not_kept_when_nobody_asked_since() {
    for_each_cache(async |house: &TestCache| {
        let cache = &house.cache;
        for forget_by_tag in [true, false] {
            let post = tags(&["post:1", "all"]);
            let load = Box::pin(async {
                if forget_by_tag {
                    cache.invalidate("all").await.unwrap();
                } else {
                    cache.remove("page").await.unwrap();
                }
                Ok(Bytes::from_static(b"old"))
            });
            assert_eq!(cache.fill("page", LONG, &post, load).await.unwrap(), "old");
            assert_eq!(cache.get("page").await, None);
        }
    })
    .await;
}
