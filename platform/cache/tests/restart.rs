//! A Redis that loses its data, or comes back with older data.

use std::time::Duration;

use bytes::Bytes;

use crate::house::{LONG, Node, config, eventually, loaded, prefix, tags};
use crate::server::Server;

#[tokio::test]
async fn a_redis_that_was_killed_is_used_again_and_older_data_that_it_brings_are_not_read() {
    let Some(mut server) = Server::start().await else { return };
    let prefix = prefix();
    let node = Node::start(config(&server.url(), &prefix)).await;
    let post = tags(&["post:1"]);
    node.cache.put("page", Bytes::from_static(b"old"), LONG, &post).await;
    node.cache.put("plain", Bytes::from_static(b"old"), LONG, &[]).await;
    server.command(&["SAVE"]).await;
    node.cache.invalidate("post:1").await.unwrap();
    node.cache.remove("plain").await.unwrap();
    server.kill().await;
    node.wait_until_away().await;
    assert_eq!(node.cache.fill("alone", LONG, &[], loaded("alone")).await.unwrap(), "alone");
    server.start_again().await;
    node.wait_until_up().await;
    let stored = server.command(&["DBSIZE"]).await;
    assert!(matches!(stored, redis::Value::Int(count) if count >= 3), "{stored:?} came back");
    assert_eq!(node.cache.get("page").await, None);
    assert_eq!(node.cache.get("plain").await, None);
    let other = Node::start(config(&server.url(), &prefix)).await;
    assert_eq!(other.cache.get("page").await, None);
    assert_eq!(other.cache.get("plain").await, None);
    node.cache.put("page", Bytes::from_static(b"new"), LONG, &post).await;
    assert_eq!(other.cache.get("page").await.unwrap(), "new");
}

#[tokio::test]
async fn a_redis_that_was_emptied_makes_nodes_forget_and_keeps_no_older_load() {
    let Some(server) = Server::start().await else { return };
    let prefix = prefix();
    let one = Node::start(config(&server.url(), &prefix)).await;
    let two = Node::start(config(&server.url(), &prefix)).await;
    let post = tags(&["post:1"]);
    one.cache.put("page", Bytes::from_static(b"old"), LONG, &post).await;
    assert!(two.cache.get("page").await.is_some());
    let load = Box::pin(async {
        server.command(&["FLUSHALL"]).await;
        // Another node gives the tag a token again.
        two.cache.put("other", Bytes::from_static(b"x"), LONG, &post).await;
        Ok(Bytes::from_static(b"old"))
    });
    assert_eq!(one.cache.fill("list", LONG, &post, load).await.unwrap(), "old");
    assert_eq!(two.cache.get("list").await, None, "its tag has another token");
    assert!(two.cache.get("other").await.is_some());
    for node in [&one, &two] {
        eventually("the node forgets", async || node.cache.get("page").await.is_none()).await;
    }
    one.cache.put("page", Bytes::from_static(b"new"), LONG, &post).await;
    two.cache.invalidate("post:1").await.unwrap();
    eventually("news come again", async || one.cache.get("page").await.is_none()).await;
}

#[tokio::test]
async fn a_tag_whose_token_was_evicted_is_good_for_nothing() {
    let Some(server) = Server::start().await else { return };
    let mut quick = config(&server.url(), "evicted");
    quick.local_ttl = Duration::ZERO;
    let node = Node::start(quick).await;
    let post = tags(&["post:1"]);
    node.cache.put("page", Bytes::from_static(b"page"), LONG, &post).await;
    let keys = server.command(&["KEYS", "evicted:*:t:post:1"]).await;
    let [key]: [String; 1] =
        redis::from_redis_value::<Vec<String>>(keys).unwrap().try_into().unwrap();
    server.command(&["DEL", &key]).await;
    assert_eq!(node.cache.get("page").await, None);
    node.cache.put("other", Bytes::from_static(b"x"), LONG, &post).await;
    assert_eq!(node.cache.get("page").await, None, "the new token is another one");
}
