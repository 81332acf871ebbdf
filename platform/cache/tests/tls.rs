//! TLS to Redis, with certificates made for the test.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use troupe_cache::CacheConfig;
use troupe_kernel::Invalidations;

use crate::certificates::Certificates;
use crate::house::{LONG, Node, config, prefix};
use crate::server::Server;

/// What takes seconds in a debug build comes within this time.
const SLOW: Duration = Duration::from_secs(40);

/// A server that speaks TLS only and knows one user.
async fn start(certificates: &Certificates) -> Option<Server> {
    let file = |name: &str| certificates.path(name).display().to_string();
    let lines = [
        format!("tls-cert-file {}", file("server.pem")),
        format!("tls-key-file {}", file("server.key")),
        format!("tls-ca-cert-file {}", file("root.pem")),
        "tls-auth-clients no".to_owned(),
        "user default off".to_owned(),
        "user app on >hunter2 ~* &* +@all".to_owned(),
    ];
    Server::start_with(&lines.each_ref().map(String::as_str)).await
}

fn secured(server: &Server, host: &str, root: &Path) -> CacheConfig {
    let url = server.url_with("rediss", "app:hunter2", host);
    // In a debug build the driver takes a second for each connection: it reads the certificates of the
    // system, also when it is to trust others.
    let connect_timeout = Duration::from_secs(20);
    CacheConfig {
        connect_timeout,
        connections: 1,
        tls_ca_file: Some(root.to_owned()),
        ..config(&url, &prefix())
    }
}

/// Waits until the node says why it does not connect, and answers what it says.
async fn told(config: CacheConfig, says: &str) -> String {
    let node = Node::start_alone(config, Invalidations::new()).await;
    let began = Instant::now();
    let reason = loop {
        let reason = node.redis.health_check().probe().await.err().unwrap_or_default();
        if reason.contains(says) {
            break reason;
        }
        assert!(began.elapsed() < SLOW, "no {says:?} in {reason}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(!node.redis.is_up());
    node.stop().await;
    reason
}

#[tokio::test]
async fn redis_is_spoken_to_in_tls_when_its_certificate_is_trusted_and_names_it() {
    let Some(certificates) = Certificates::make(2) else { return };
    let Some(server) = start(&certificates).await else { return };
    let root = certificates.path("root.pem");
    let prefix = prefix();
    let shared = CacheConfig { prefix, ..secured(&server, "localhost", &root) };
    let one = Node::start_alone(shared.clone(), Invalidations::new()).await;
    let two = Node::start_alone(shared, Invalidations::new()).await;
    let began = Instant::now();
    while !(one.redis.is_up() && two.redis.is_up()) {
        assert!(began.elapsed() < SLOW, "{:?}", one.redis.health_check().probe().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    one.cache.put("page", Bytes::from_static(b"page"), LONG, &[]).await;
    assert_eq!(two.cache.get("page").await.unwrap(), "page");
    one.stop().await;
    two.stop().await;

    let stranger = Certificates::make(2).unwrap();
    let strange = stranger.path("root.pem");
    let nothing = certificates.path("names");
    for (refused, says) in [
        (secured(&server, "localhost", &strange), "UnknownIssuer"),
        (secured(&server, "127.0.0.1", &root), "not valid for name"),
        (secured(&server, "localhost", &nothing), "holds no certificate"),
    ] {
        let reason = told(refused, says).await;
        assert!(reason.contains("cache.tls_ca_file") && !reason.contains("hunter2"), "{reason}");
    }
}

#[tokio::test]
async fn an_expired_certificate_of_redis_is_refused_and_named() {
    let Some(certificates) = Certificates::make(0) else { return };
    let Some(server) = start(&certificates).await else { return };
    // It is good in the second in which it was made.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let root = certificates.path("root.pem");
    let reason = told(secured(&server, "localhost", &root), "expired").await;
    assert!(reason.contains("cache.tls_ca_file") && !reason.contains("hunter2"), "{reason}");
}
