//! The ledger of quotas: nodes add up what a caller spends.

use std::time::Duration;

use troupe_kernel::Invalidations;
use troupe_kernel::ports::Spending;

use crate::house::{Node, config, prefix, redis_url};

fn spent(caller: &str, millis: u64) -> Spending {
    Spending { caller: caller.to_owned(), spent: Duration::from_millis(millis) }
}

#[tokio::test]
async fn what_nodes_spend_for_a_caller_adds_up_and_comes_back_with_time() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let (one, two) =
        (Node::start(config(&url, &prefix)).await, Node::start(config(&url, &prefix)).await);
    let (one, two) = (one.redis.ledger(), two.redis.ledger());
    let first = one.spend(&[spent("ann", 1000), spent("bob", 0)]).await.unwrap();
    assert_eq!(first, [Duration::from_secs(1), Duration::ZERO]);
    let second = two.spend(&[spent("bob", 10), spent("ann", 1000)]).await.unwrap();
    assert_eq!(second[0], Duration::from_millis(10));
    assert!(second[1] > Duration::from_millis(1500) && second[1] <= Duration::from_secs(2));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let later = one.spend(&[spent("bob", 10)]).await.unwrap();
    assert_eq!(later, [Duration::from_millis(10)], "what came back is not counted again");
}

#[tokio::test]
async fn many_callers_are_counted_in_their_order() {
    let Some(url) = redis_url() else { return };
    let node = Node::start(config(&url, &prefix())).await;
    let spendings: Vec<Spending> =
        (0..1000).map(|id| spent(&format!("caller:{id}"), 10_000 + id)).collect();
    let ahead = node.redis.ledger().spend(&spendings).await.unwrap();
    let expected: Vec<Duration> = spendings.iter().map(|spending| spending.spent).collect();
    assert_eq!(ahead, expected);
}

#[tokio::test]
async fn a_ledger_that_is_away_fails_at_once() {
    let node =
        Node::start_alone(config("redis://127.0.0.1:1", &prefix()), Invalidations::new()).await;
    let failure = node.redis.ledger().spend(&[spent("ann", 1)]).await.unwrap_err();
    assert_eq!(failure.code(), "cache.redis.away");
    node.stop().await;
}
