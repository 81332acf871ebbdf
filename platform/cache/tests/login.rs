//! Another password of Redis while a node is at work.

use troupe_kernel::config::{ConfigTree, Layers};

use crate::house::{Node, config, eventually, prefix};
use crate::server::Server;

const USERS: [&str; 3] = [
    "user default off",
    "user app on >first-hunter2 ~* &* +@all",
    "user boss on >boss-hunter2 ~* &* +@all",
];

fn settings(url: &str) -> ConfigTree {
    Layers::new().file("troupe.toml", &format!("[cache]\nurl = \"{url}\"")).build().unwrap()
}

async fn reason(node: &Node) -> String {
    node.redis.health_check().probe().await.err().unwrap_or_default()
}

#[tokio::test]
async fn another_password_counts_for_new_connections_once_redis_takes_it() {
    let Some(server) = Server::start_with(&USERS).await else { return };
    let url = |login: &str| server.url_with("redis", login, "127.0.0.1");
    let boss = url("boss:boss-hunter2");
    let node = Node::start(config(&url("app:first-hunter2"), &prefix())).await;
    let reload = node.redis.reload();
    let look = async |url: &str| reload.look(&settings(url)).await;
    assert!(look(&url("app:first-hunter2")).await.unwrap().keys().is_empty());
    let early = look(&url("app:second-hunter2")).await.map(drop).unwrap_err();
    assert_eq!(early[0].path, "cache.url");
    assert!(!early[0].to_string().contains("hunter2"), "{early:?}");
    let elsewhere = look(&format!("{}/3", url("app:first-hunter2"))).await.unwrap();
    assert_eq!(elsewhere.keys_later(), ["cache.url"]);

    server.command_by(&boss, &["ACL", "SETUSER", "app", "resetpass", ">second-hunter2"]).await;
    let change = look(&url("app:second-hunter2")).await.unwrap();
    assert_eq!(change.keys(), ["cache.url"]);
    server.command_by(&boss, &["CLIENT", "KILL", "USER", "app"]).await;
    eventually("the old password is refused", async || {
        reason(&node).await.contains("check user and password in cache.url")
    })
    .await;
    let told = reason(&node).await;
    assert!(!told.contains("hunter2"), "{told}");
    change.make();
    node.wait_until_up().await;
    node.stop().await;
}

#[tokio::test]
async fn a_wrong_user_is_told_what_to_do_and_no_secret() {
    let Some(server) = Server::start_with(&USERS).await else { return };
    for login in ["nobody:hunter2", "app:wrong-hunter2", ":hunter2"] {
        let url = server.url_with("redis", login, "127.0.0.1");
        let hub = troupe_kernel::Invalidations::new();
        let node = Node::start_alone(config(&url, &prefix()), hub).await;
        eventually(login, async || reason(&node).await.contains("in cache.url")).await;
        let told = reason(&node).await;
        assert!(!told.contains("hunter2"), "{told}");
        assert!(!node.redis.is_up());
        node.stop().await;
    }
}
