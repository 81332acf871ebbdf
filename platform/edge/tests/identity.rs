//! Who may come in: credentials, permissions, their caches and what empties them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use troupe_actors::Scope;
use troupe_kernel::invalidation::RevokeEverybody;
use troupe_kernel::{PermissionsChanged, RevokeSession, RevokeSubject, Uuid};

use crate::client::{Client, get, post};
use crate::fixture::{Node, READ, Setup, WRITE, both, until};

fn scope() -> Scope {
    Scope::bare(Duration::from_secs(5))
}

#[tokio::test]
async fn a_request_without_a_good_credential_is_refused() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let missing = node.send(get("/v1/notes/1")).await;
        assert_eq!((missing.status, missing.problem().as_str()), (401, "edge.credential.missing"));
        assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"troupe\""));
        assert_eq!(node.authenticated(), 0);
        let unknown = node.send(get("/v1/notes/1").token("made-up")).await;
        assert_eq!((unknown.status, unknown.problem().as_str()), (401, "auth.token.unknown"));
        assert!(unknown.header("www-authenticate").unwrap().contains("invalid_token"));
        let scheme = node.send(get("/v1/notes/1").header("authorization", "Basic YTpi")).await;
        assert_eq!((scheme.status, scheme.problem().as_str()), (401, "edge.credential.malformed"));
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_principal_needs_the_permission_of_the_route() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ]);
        let note = json!({"text": "a"});
        assert_eq!(node.send(get("/v1/notes/1").token(&token)).await.status, 200);
        let forbidden = node.send(post("/v1/notes", &note).token(&token)).await;
        assert_eq!(
            (forbidden.status, forbidden.problem().as_str()),
            (403, "edge.permission.missing")
        );
        assert!(forbidden.json()["detail"].as_str().unwrap().contains(WRITE));
        let nobody = node.sign_in("bob", &[]);
        assert_eq!(node.send(get("/v1/notes/1").token(&nobody)).await.status, 403);
        assert_eq!(
            node.send(get("/v1/me").token(&nobody)).await.status,
            200,
            "signed in is enough"
        );
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_public_route_knows_who_asks_and_refuses_a_bad_credential() {
    let node = Node::start(false).await;
    let token = node.sign_in("ann", &[READ]);
    let act = || post("/v1/acts/describe", &json!(0));
    assert!(node.send(act()).await.json()["subject"].is_null());
    let known = node.send(act().token(&token)).await.json();
    assert_eq!(known["subject"], json!(node.principal(&token).subject));
    assert_eq!(known["permissions"], json!([node.catalog.bit(READ)]));
    assert_eq!(node.send(act().token("made-up")).await.status, 401);
    node.stop().await;
}

#[tokio::test]
async fn an_api_key_is_a_credential_and_its_bound_holds() {
    let node = Node::start(false).await;
    let key = node.sign_in("robot", &[READ, WRITE]);
    let bound = node.catalog.compile([READ]);
    node.users.tokens.lock().unwrap().get_mut(&key).unwrap().principal.bound = Some(bound);
    assert_eq!(node.send(get("/v1/notes/1").header("x-api-key", &key)).await.status, 200);
    let field = format!("ApiKey {key}");
    assert_eq!(node.send(get("/v1/notes/1").header("authorization", &field)).await.status, 200);
    let write = post("/v1/notes", &json!({"text": "a"})).header("x-api-key", &key);
    assert_eq!(node.send(write).await.status, 403, "the key was bound to reading");
    node.stop().await;
}

#[tokio::test]
async fn a_token_is_verified_once_within_its_time() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ]);
        let mut client = node.client().await;
        for _ in 0..20 {
            assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200);
        }
        assert_eq!((node.authenticated(), node.resolved()), (1, 1));
        node.clock.advance(Duration::from_secs(61));
        assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200);
        assert_eq!(node.authenticated(), 2, "a minute is the longest");
        let longer = format!("{token}x");
        assert_eq!(client.send(get("/v1/notes/1").token(&longer)).await.status, 401);
        let shorter = &token[..token.len() - 1];
        assert_eq!(client.send(get("/v1/notes/1").token(shorter)).await.status, 401);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_token_is_not_believed_beyond_its_expiry() {
    let node = Node::start(false).await;
    let token = node.sign_in("ann", &[READ]);
    let expires = troupe_kernel::Clock::now(&*node.clock).plus(Duration::from_secs(5));
    node.users.tokens.lock().unwrap().get_mut(&token).unwrap().expires = expires;
    assert_eq!(node.send(get("/v1/notes/1").token(&token)).await.status, 200);
    node.clock.advance(Duration::from_secs(5));
    let expired = node.send(get("/v1/notes/1").token(&token)).await;
    assert_eq!((expired.status, expired.problem().as_str()), (401, "edge.credential.expired"));
    node.stop().await;
}

#[tokio::test]
async fn requests_with_the_same_new_token_wait_for_one_verification() {
    both(|wire| async move {
        let node = Arc::new(Node::start(wire).await);
        let token = node.sign_in("ann", &[READ]);
        let hold = node.hold();
        let mut requests = JoinSet::new();
        for _ in 0..30 {
            let (address, token) = (node.address, token.clone());
            requests.spawn(async move {
                Client::connect(address).await.send(get("/v1/notes/1").token(&token)).await.status
            });
        }
        until("the verification begins", || node.authenticated() == 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        // The shard is not blocked: another request passes meanwhile.
        *node.users.hold.lock().unwrap() = None;
        let other = node.sign_in("bob", &[READ]);
        assert_eq!(node.send(get("/v1/notes/1").token(&other)).await.status, 200);
        hold.add_permits(1);
        assert_eq!(requests.join_all().await, vec![200; 30]);
        assert_eq!(node.authenticated(), 2);
        Arc::into_inner(node).unwrap().stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_revoked_session_is_refused_as_soon_as_the_revocation_is_acknowledged() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let mut client = node.client().await;
        for by_subject in [false, true] {
            let token = node.sign_in("ann", &[READ]);
            let other = node.sign_in("bob", &[READ]);
            for token in [&token, &other] {
                assert_eq!(client.send(get("/v1/notes/1").token(token)).await.status, 200);
            }
            let verified = node.authenticated();
            let principal = node.principal(&token);
            node.users.tokens.lock().unwrap().remove(&token);
            if by_subject {
                let subject = principal.subject;
                node.invalidations.publish(&scope(), RevokeSubject { subject }).await.unwrap();
            } else {
                let session = principal.session.unwrap();
                node.invalidations.publish(&scope(), RevokeSession { session }).await.unwrap();
            }
            assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 401);
            assert_eq!(client.send(get("/v1/notes/1").token(&other)).await.status, 200);
            assert_eq!(node.authenticated(), verified + 1, "the other session is still cached");
        }
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn every_token_is_verified_anew_after_everybody_was_revoked() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let mut client = node.client().await;
        let (forged, good) = (node.sign_in("ann", &[READ]), node.sign_in("bob", &[READ]));
        for token in [&forged, &good] {
            assert_eq!(client.send(get("/v1/notes/1").token(token)).await.status, 200);
        }
        let verified = node.authenticated();
        node.users.tokens.lock().unwrap().remove(&forged);
        node.invalidations.publish(&scope(), RevokeEverybody).await.unwrap();
        assert_eq!(client.send(get("/v1/notes/1").token(&forged)).await.status, 401);
        assert_eq!(client.send(get("/v1/notes/1").token(&good)).await.status, 200);
        assert_eq!(node.authenticated(), verified + 2);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_verification_that_a_revocation_overtakes_is_done_again() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ]);
        let session = node.principal(&token).session.unwrap();
        let hold = node.hold();
        let mut client = node.client().await;
        let request = client.send(get("/v1/notes/1").token(&token));
        let revoke = async {
            until("the verification begins", || node.authenticated() == 1).await;
            // It has read that the session is good; now it ends.
            node.users.tokens.lock().unwrap().remove(&token);
            node.invalidations.publish(&scope(), RevokeSession { session }).await.unwrap();
            hold.add_permits(10);
        };
        let (answer, ()) = tokio::join!(request, revoke);
        assert_eq!(answer.status, 401);
        assert_eq!(node.authenticated(), 2);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn changed_permissions_hold_at_once() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ]);
        let subject = node.principal(&token).subject;
        let mut client = node.client().await;
        assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200);
        node.permit(&token, &[]);
        assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200, "cached");
        let change = PermissionsChanged { subject: Some(subject), tenant: None };
        node.invalidations.publish(&scope(), change).await.unwrap();
        assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 403);
        node.permit(&token, &[READ]);
        node.invalidations.publish(&scope(), PermissionsChanged::default()).await.unwrap();
        assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200);
        assert_eq!(node.authenticated(), 1, "who it is has not changed");
        let looked = node.resolved();
        for (tenant, asked) in
            [(Uuid::from_u128(99), 0), (node.principal(&token).tenant.unwrap(), 1)]
        {
            let change = PermissionsChanged { subject: None, tenant: Some(tenant) };
            node.invalidations.publish(&scope(), change).await.unwrap();
            assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200);
            assert_eq!(node.resolved() - looked, asked, "a tenant's change concerns the tenant");
        }
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_resolution_that_a_change_overtakes_is_done_again() {
    let node = Node::start(false).await;
    let token = node.sign_in("ann", &[READ]);
    let subject = node.principal(&token).subject;
    let mut client = node.client().await;
    assert_eq!(client.send(get("/v1/notes/1").token(&token)).await.status, 200);
    node.invalidations.publish(&scope(), PermissionsChanged::default()).await.unwrap();
    let hold = node.hold();
    let request = client.send(get("/v1/notes/1").token(&token));
    let change = async {
        until("the resolution begins", || node.resolved() == 2).await;
        node.permit(&token, &[]);
        let changed = PermissionsChanged { subject: Some(subject), tenant: None };
        node.invalidations.publish(&scope(), changed).await.unwrap();
        hold.add_permits(10);
    };
    let (answer, ()) = tokio::join!(request, change);
    assert_eq!(answer.status, 403);
    assert_eq!(node.resolved(), 3);
    node.stop().await;
}

#[tokio::test]
async fn the_caches_are_bounded() {
    let mut setup = Setup::new(false);
    setup.config.tokens.entries_max = 8;
    setup.config.shards = 1;
    let node = setup.start().await;
    let mut client = node.client().await;
    let tokens: Vec<String> =
        (0..40).map(|number| node.sign_in(&format!("user{number}"), &[READ])).collect();
    for _ in 0..2 {
        for token in &tokens {
            assert_eq!(client.send(get("/v1/notes/1").token(token)).await.status, 200);
        }
    }
    assert_eq!(node.authenticated(), 80, "none of forty stays in a cache of eight");
    node.stop().await;
}
