//! Nodes that share a Redis, and a node whose Redis is not there.

use std::io::Write as _;
use std::time::{Duration, Instant};

use troupe_kernel::Uuid;

use crate::data::Postgres;
use crate::node::Node;
use crate::people::{administrator, log_in};
use crate::web::Web;

/// Much less than a verified token is believed without a word from the other node.
const SOON: Duration = Duration::from_secs(10);
/// Nothing listens there.
const NOWHERE: &str = "cache.url=redis://127.0.0.1:1";

/// The test server; says that the test is skipped when there is none.
#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration; this is their one variable"
)]
fn redis_url() -> Option<String> {
    let url = std::env::var("TROUPE_TEST_REDIS_URL").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        let why = "TROUPE_TEST_REDIS_URL is not set";
        drop(writeln!(std::io::stderr(), "TROUPE-SKIPPED redis: {test} ({why})"));
    }
    url
}

/// The status of the check `redis`, and whether the node is ready.
fn redis_check(web: &Web) -> (String, u16) {
    let answer = web.get("/readyz").send();
    let checks = answer.json()["checks"].as_array().expect("checks").clone();
    let check = checks.iter().find(|check| check["name"] == "redis").expect("a check of Redis");
    (check["status"].as_str().expect("a status").to_owned(), answer.status)
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "it never came to be: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_node_whose_redis_is_not_there_serves_and_says_so() {
    let node = Node::with(&[NOWHERE, "edge.principal_limit.quota=1000"]);
    administrator(&node);
    let root = log_in(&node, "root@example.org");
    node.web.get("/v1/users/me").token(&root.token).send().expect(200);
    eventually("the check was run", || redis_check(&node.web) == ("fail".to_owned(), 200));
    node.web.post("/v1/auth/logout").token(&root.token).send().expect(204);
    node.web.get("/v1/users/me").token(&root.token).send().expect(401);
}

#[test]
fn a_session_that_ends_on_one_node_ends_on_the_other() {
    let Some(redis) = redis_url() else { return };
    let Some(postgres) = Postgres::create() else { return };
    let settings = [
        format!("database.url={}", postgres.url()),
        format!("cache.url={redis}"),
        format!("cache.prefix=t-{}", &Uuid::now_v7().simple().to_string()[14..]),
        format!("auth.key_encryption_key={}=", "A".repeat(43)),
        "edge.principal_limit.quota=40".to_owned(),
        "edge.principal_limit.window=1h".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let one = Node::with(&settings);
    administrator(&one);
    let two = Node::with(&settings);
    for node in [&one, &two] {
        eventually("Redis is there", || redis_check(&node.web) == ("pass".to_owned(), 200));
    }
    let root = log_in(&one, "root@example.org");
    let asks = |node: &Node| node.web.get("/v1/users/me").token(&root.token).send();
    assert_eq!((asks(&one).status, asks(&two).status), (200, 200), "both have the token now");

    for _ in 0..20 {
        asks(&one).expect(200);
    }
    let left = || asks(&two).header("ratelimit").and_then(remaining).expect("a limit");
    eventually("the quota is one for both", || left() < 15);

    one.web.post("/v1/auth/logout").token(&root.token).send().expect(204);
    eventually("the other node refuses the token", || asks(&two).status == 401);
}

/// `"principal";r=12;t=3`
fn remaining(field: &str) -> Option<u32> {
    let (_, rest) = field.split_once(";r=")?;
    rest.split(';').next()?.parse().ok()
}
