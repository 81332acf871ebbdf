//! Rate limits per address and per principal.

use std::time::Duration;

use serde_json::json;

use crate::client::{get, post};
use crate::fixture::{READ, Setup, both};

#[tokio::test]
async fn an_address_is_limited_before_anybody_looks_at_its_credential() {
    both(|wire| async move {
        let mut setup = Setup::new(wire);
        setup.config.address_limit.quota = 5;
        setup.config.address_limit.window = Duration::from_secs(50);
        let node = setup.start().await;
        let mut client = node.client().await;
        for left in (0..5).rev() {
            let answer = client.send(get("/v1/notes/1").token("made-up")).await;
            assert_eq!(answer.status, 401);
            assert_eq!(answer.header("ratelimit-policy"), Some("\"address\";q=5;w=50"));
            let state = answer.header("ratelimit").unwrap();
            assert!(state.starts_with(&format!("\"address\";r={left};t=")), "{state}");
        }
        let refused = client.send(get("/v1/notes/1").token("made-up")).await;
        assert_eq!((refused.status, refused.problem().as_str()), (429, "edge.rate.exceeded"));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((5..=10).contains(&wait), "a fifth of the window less what has passed: {wait}");
        assert!(refused.header("ratelimit").unwrap().starts_with("\"address\";r=0;t="));
        assert_eq!(node.authenticated(), 5);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_principal_is_limited_wherever_it_comes_from() {
    both(|wire| async move {
        let mut setup = Setup::new(wire);
        setup.config.principal_limit.quota = 3;
        setup.config.principal_limit.window = Duration::from_secs(30);
        setup.config.address_limit.quota = 1000;
        let node = setup.start().await;
        let token = node.sign_in("ann", &[READ]);
        for left in (0..3).rev() {
            let answer = node.send(get("/v1/notes/1").token(&token)).await;
            assert_eq!(answer.status, 200);
            let state = answer.header("ratelimit").unwrap();
            assert!(state.starts_with(&format!("\"principal\";r={left};")), "{state}");
        }
        let refused = node.send(get("/v1/notes/1").token(&token)).await;
        assert_eq!((refused.status, refused.problem().as_str()), (429, "edge.rate.exceeded"));
        assert_eq!(refused.header("ratelimit-policy"), Some("\"principal\";q=3;w=30"));
        let other = node.sign_in("bob", &[READ]);
        assert_eq!(node.send(get("/v1/notes/1").token(&other)).await.status, 200);
        let anonymous = node.send(post("/v1/acts/describe", &json!(0))).await;
        assert!(anonymous.header("ratelimit").unwrap().starts_with("\"address\""));
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_limit_that_is_off_is_not_reported() {
    let node = Setup::new(false).start().await;
    let answer = node.send(post("/v1/acts/describe", &json!(0))).await;
    assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    node.stop().await;
}

#[tokio::test]
async fn a_quota_comes_back() {
    let mut setup = Setup::new(false);
    setup.config.address_limit.quota = 4;
    setup.config.address_limit.window = Duration::from_secs(1);
    let node = setup.start().await;
    let mut client = node.client().await;
    let mut status = 200;
    for _ in 0..200 {
        status = client.send(post("/v1/acts/describe", &json!(0))).await.status;
        if status != 200 {
            break;
        }
    }
    assert_eq!(status, 429);
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        status = client.send(post("/v1/acts/describe", &json!(0))).await.status;
        if status == 200 {
            break;
        }
    }
    assert_eq!(status, 200);
    node.stop().await;
}
