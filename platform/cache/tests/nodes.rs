//! What nodes that share a cache promise each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use troupe_cache::CacheConfig;

use crate::house::{
    LONG, Node, config, counted, eventually, loaded, never, prefix, redis_url, tags,
};

async fn nodes<const N: usize>(change: impl Fn(CacheConfig) -> CacheConfig) -> Option<[Node; N]> {
    let (url, prefix) = (redis_url()?, prefix());
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(Node::start(change(config(&url, &prefix))).await);
    }
    nodes.try_into().ok()
}

#[tokio::test]
async fn a_value_that_one_node_loaded_is_read_by_the_others() {
    let Some([one, two]) = nodes(|config| config).await else { return };
    let post = tags(&["post:1"]);
    one.cache.fill("page", LONG, &post, loaded("page")).await.unwrap();
    assert_eq!(two.cache.get("page").await.unwrap(), "page");
    assert_eq!(two.cache.fill("page", LONG, &post, never()).await.unwrap(), "page");
}

#[tokio::test]
async fn what_one_node_forgets_or_replaces_the_others_forget_at_once() {
    let Some([one, two]) = nodes(|config| config).await else { return };
    let post = tags(&["post:1"]);
    let gone = async || two.cache.get("page").await.is_none();
    for by_tag in [true, false] {
        one.cache.put("page", Bytes::from_static(b"page"), LONG, &post).await;
        assert_eq!(two.cache.get("page").await.unwrap(), "page");
        if by_tag {
            one.cache.invalidate("post:1").await.unwrap();
        } else {
            one.cache.remove("page").await.unwrap();
        }
        assert_eq!(one.cache.get("page").await, None);
        // Its own copy would be good for longer than this waits.
        eventually("the other node forgets", gone).await;
    }
    one.cache.put("page", Bytes::from_static(b"1"), LONG, &post).await;
    assert_eq!(two.cache.get("page").await.unwrap(), "1");
    one.cache.put("page", Bytes::from_static(b"2"), LONG, &post).await;
    let replaced = async || two.cache.get("page").await.is_some_and(|page| page == "2");
    eventually("the other node reads the new value", replaced).await;
}

#[tokio::test]
async fn without_a_local_tier_no_get_on_any_node_sees_what_was_invalidated() {
    let strict = |config| CacheConfig { local_ttl: Duration::ZERO, ..config };
    let Some([one, two]) = nodes(strict).await else { return };
    let post = tags(&["post:1", "all"]);
    for round in 0..200 {
        let value = round.to_string();
        one.cache.fill("page", LONG, &post, loaded(&value)).await.unwrap();
        assert_eq!(two.cache.get("page").await.unwrap(), value);
        one.cache.invalidate("post:1").await.unwrap();
        assert_eq!(two.cache.get("page").await, None);
    }
}

#[tokio::test]
async fn many_that_miss_at_once_on_several_nodes_cause_one_load() {
    let Some(nodes) = nodes::<3>(|config| config).await else { return };
    let loads = AtomicU32::new(0);
    let post = tags(&["post:1"]);
    for round in 0..10 {
        let key = format!("page:{round}");
        let ask = |node: usize| nodes[node].cache.fill(&key, LONG, &post, counted(&loads, "page"));
        let pages = tokio::join!(ask(0), ask(1), ask(2), ask(0), ask(1), ask(2));
        for page in [pages.0, pages.1, pages.2, pages.3, pages.4, pages.5] {
            assert_eq!(page.unwrap(), "page");
        }
        assert_eq!(loads.load(Ordering::SeqCst), round + 1);
    }
}

#[tokio::test]
async fn a_load_that_began_before_an_invalidation_on_another_node_is_not_kept() {
    let Some([one, two]) = nodes(|config| config).await else { return };
    let post = tags(&["post:1"]);
    let load = Box::pin(async {
        two.cache.invalidate("post:1").await.unwrap();
        Ok(Bytes::from_static(b"old"))
    });
    assert_eq!(one.cache.fill("page", LONG, &post, load).await.unwrap(), "old");
    assert_eq!(two.cache.get("page").await, None);
    assert_eq!(one.cache.get("page").await, None, "what Redis refused is not kept here either");
    // The right to load was given back with it.
    assert_eq!(two.cache.fill("page", LONG, &post, loaded("new")).await.unwrap(), "new");
}

#[tokio::test]
async fn a_load_that_an_invalidation_made_useless_is_not_waited_for() {
    let Some([one, two]) = nodes(|config| config).await else { return };
    let post = tags(&["post:1"]);
    let (begun, began) = oneshot::channel::<()>();
    let (end, ended) = oneshot::channel::<()>();
    let load = Box::pin(async {
        begun.send(()).unwrap();
        ended.await.unwrap();
        Ok(Bytes::from_static(b"old"))
    });
    let newer = async {
        began.await.unwrap();
        two.cache.invalidate("post:1").await.unwrap();
        let page = two.cache.fill("page", LONG, &post, loaded("new")).await.unwrap();
        end.send(()).unwrap();
        page
    };
    let (old, new) = tokio::join!(one.cache.fill("page", LONG, &post, load), newer);
    assert_eq!((old.unwrap(), new), ("old".into(), "new".into()));
    assert_eq!(two.cache.get("page").await.unwrap(), "new");
    assert_eq!(one.cache.get("page").await.unwrap(), "new");
}

#[tokio::test]
async fn a_node_that_never_ends_its_load_holds_up_the_others_for_a_bounded_time() {
    let wait = Duration::from_millis(100);
    let impatient =
        |config| CacheConfig { load_wait: wait, load_lease: Duration::from_millis(600), ..config };
    let Some([one, two]) = nodes(impatient).await else { return };
    let (begun, began) = oneshot::channel::<()>();
    let hanging = one.cache.fill(
        "page",
        LONG,
        &[],
        Box::pin(async {
            begun.send(()).unwrap();
            std::future::pending().await
        }),
    );
    let other = async {
        began.await.unwrap();
        let asked = Instant::now();
        assert_eq!(two.cache.fill("page", LONG, &[], loaded("page")).await.unwrap(), "page");
        assert!(asked.elapsed() >= wait, "it waited for the other node");
        // When the right of the first has ended, somebody else gets it.
        tokio::time::sleep(Duration::from_millis(700)).await;
        two.cache.remove("page").await.unwrap();
        assert_eq!(two.cache.fill("page", LONG, &[], loaded("again")).await.unwrap(), "again");
    };
    tokio::select! {
        _ = hanging => panic!("it hangs"),
        () = other => {}
    }
}

/// Four keys, three nodes, each with a local tier: a read on a node never brings less than what was
/// true when an invalidation by that node was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_never_reads_what_it_has_invalidated() {
    let Some(nodes) = nodes::<3>(|config| config).await else { return };
    let nodes: Arc<[Node]> = nodes.into();
    let truth: Arc<[AtomicU64; 4]> = Arc::default();
    let mut tasks = JoinSet::new();
    for worker in 0..6_usize {
        let (nodes, truth) = (nodes.clone(), truth.clone());
        tasks.spawn(async move {
            let mut random = StdRng::seed_from_u64(worker as u64);
            let cache = &nodes[worker % 3].cache;
            let mut known = [0; 4];
            for _ in 0..400 {
                let id = random.random_range(0..4);
                let (key, tag) = (format!("key:{id}"), format!("tag:{id}"));
                if random.random_ratio(1, 8) {
                    let version = truth[id].fetch_add(1, Ordering::SeqCst) + 1;
                    cache.invalidate(&tag).await.unwrap();
                    known[id] = version;
                    continue;
                }
                let load = Box::pin(async {
                    let version = truth[id].load(Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_micros(300)).await;
                    Ok(Bytes::from(version.to_string()))
                });
                let tags = [tag];
                let read = if random.random_bool(0.5) {
                    Some(cache.fill(&key, LONG, &tags, load).await.unwrap())
                } else {
                    cache.get(&key).await
                };
                if let Some(read) = read {
                    let read: u64 = std::str::from_utf8(&read).unwrap().parse().unwrap();
                    assert!(read >= known[id], "{read} of {key}, where {} was known", known[id]);
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(nodes.iter().all(|node| node.redis.is_up()));
}
