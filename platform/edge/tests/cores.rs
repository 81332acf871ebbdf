//! The edge in a system with cores: each has gates of its own, and they agree.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use troupe_actors::Scope;
use troupe_kernel::{PermissionsChanged, RevokeSession};

use crate::client::{Client, get, post};
use crate::fixture::{Node, READ, Setup, both};

const CORES: usize = 3;

async fn start(wire_always: bool, quota: u32) -> Node {
    let mut setup = Setup::new(wire_always);
    setup.cores = CORES;
    setup.config.principal_limit.quota = quota;
    setup.config.principal_limit.window = Duration::from_secs(600);
    setup.start().await
}

/// A connection to each core: they take them in turn.
async fn clients(node: &Node) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..CORES {
        clients.push(node.client().await);
    }
    clients
}

#[tokio::test]
async fn every_core_serves_and_verifies_a_token_once() {
    both(|wire| async move {
        let node = start(wire, 0).await;
        let token = node.sign_in("ann", &[READ]);
        let mut clients = clients(&node).await;
        for _ in 0..5 {
            for client in &mut clients {
                assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200);
            }
        }
        assert_eq!(node.authenticated(), CORES);
        for core in 1..=CORES {
            let gate = format!("/node/root/edge/gates/authentication/{core}");
            assert!(node.system.actor(&gate).unwrap().counts.handled >= 5, "{gate}");
        }
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_quota_is_one_quota_on_all_cores() {
    both(|wire| async move {
        let node = start(wire, 10).await;
        let token = node.sign_in("ann", &[READ]);
        let mut clients = clients(&node).await;
        let mut statuses = Vec::new();
        for _ in 0..5 {
            for client in &mut clients {
                statuses.push(client.send(get("/v1/notes/1").token(&token)).await.status);
            }
        }
        assert_eq!(statuses[..10], [200; 10]);
        assert_eq!(statuses[10..], [429; 5]);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_revoked_or_changed_is_so_on_every_core() {
    both(|wire| async move {
        let node = start(wire, 0).await;
        let token = node.sign_in("ann", &[READ]);
        let scope = Scope::bare(Duration::from_secs(5));
        let mut clients = clients(&node).await;
        for client in &mut clients {
            assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200);
        }
        node.permit(&token, &[]);
        node.invalidations.publish(&scope, PermissionsChanged::default()).await.unwrap();
        for client in &mut clients {
            assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 403);
        }
        let session = node.principal(&token).session.unwrap();
        node.users.tokens.lock().unwrap().remove(&token);
        node.invalidations.publish(&scope, RevokeSession { session }).await.unwrap();
        for client in &mut clients {
            assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 401);
        }
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_drain_loses_no_request_on_any_core() {
    both(|wire| async move {
        let node = Arc::new(start(wire, 0).await);
        let mut callers = JoinSet::new();
        for _ in 0..4 * CORES {
            let address = node.address;
            callers.spawn(async move {
                let mut client = Client::connect(address).await;
                for served in 1.. {
                    let ask = post("/v1/acts/describe", &json!(0));
                    let answer = client.try_send(&ask).await.expect("every request is answered");
                    assert_eq!(answer.status, 200);
                    if answer.header("connection") == Some("close") {
                        return served;
                    }
                }
                0
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(node.edge.drain().await.unwrap().unfinished, 0);
        let served = callers.join_all().await;
        assert!(served.iter().all(|count| *count > 1), "{served:?}");
        Arc::into_inner(node).unwrap().stop().await;
    })
    .await;
}
