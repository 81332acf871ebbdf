//! The way of a request when all goes well, and the simple refusals.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::client::{ask, get, post};
use crate::fixture::{Node, READ, Setup, WRITE, both};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_request_becomes_a_message_and_the_reply_a_response() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ, WRITE]);
        let mut client = node.client().await;
        let answer = client.send(get("/v1/notes/7").token(&token)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({"text": "note 7", "tags": []}));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let created = client.send(post("/v1/notes", &json!({"text": "new"})).token(&token)).await;
        assert_eq!(created.status, 201);
        assert_eq!(created.header("location"), Some("/v1/notes/1"));
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_service_sees_who_asks_and_why() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[WRITE]);
        let principal = node.principal(&token);
        let request_id = "0194f3b2-7c1a-7def-8a3b-5c6d7e8f9012";
        let answer = node
            .send(
                get("/v1/me")
                    .token(&token)
                    .header("x-request-id", request_id)
                    .header("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01")),
            )
            .await;
        let seen = answer.json();
        assert_eq!(seen["subject"], json!(principal.subject));
        assert_eq!(seen["tenant"], json!(principal.tenant));
        assert_eq!(seen["permissions"], json!([node.catalog.bit(WRITE)]));
        assert_eq!(seen["request"], request_id);
        assert_eq!(seen["trace"], TRACE);
        assert_eq!(seen["address"], "127.0.0.1");
        assert!(seen["remaining_ms"].as_u64().unwrap() > 25_000);
        assert_eq!(answer.header("x-request-id"), Some(request_id));
        let traceparent = answer.header("traceparent").unwrap();
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{traceparent}");
        assert!(!traceparent.contains("00f067aa0ba902b7"), "the span is our own");
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_request_without_ids_gets_its_own() {
    let node = Node::start(false).await;
    let first =
        node.send(post("/v1/acts/describe", &json!(0)).header("x-request-id", "mine")).await;
    let second = node.send(post("/v1/acts/describe", &json!(0))).await;
    let id = first.header("x-request-id").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    assert_eq!(id.as_bytes()[14], b'7', "UUID version 7");
    assert_eq!(first.json()["request"], id.as_str());
    assert_ne!(Some(id.as_str()), second.header("x-request-id"));
    assert!(first.header("traceparent").is_some());
    node.stop().await;
}

#[tokio::test]
async fn an_answer_has_the_security_fields() {
    let mut setup = Setup::new(false);
    setup.config.hsts = "max-age=31536000".to_owned();
    let node = setup.start().await;
    for path in ["/v1/acts/describe", "/nowhere"] {
        let answer = node.send(post(path, &json!(0))).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
        assert!(answer.header("cache-control").is_some());
    }
    node.stop().await;
}

#[tokio::test]
async fn unknown_paths_methods_and_things_are_problems() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ]);
        let nowhere = node.send(get("/v1/nowhere")).await;
        assert_eq!((nowhere.status, nowhere.problem().as_str()), (404, "edge.path.unknown"));
        let instance = nowhere.json()["instance"].as_str().unwrap().to_owned();
        assert_eq!(instance, format!("urn:uuid:{}", nowhere.header("x-request-id").unwrap()));
        let unknown = node.send(get("/v1/notes/404").token(&token)).await;
        assert_eq!((unknown.status, unknown.problem().as_str()), (404, "notes.note.unknown"));
        let method = node.send(ask("PATCH", "/v1/notes/7").token(&token)).await;
        assert_eq!((method.status, method.problem().as_str()), (405, "edge.method.not_allowed"));
        assert_eq!(method.header("allow"), Some("GET, HEAD, OPTIONS"));
        let options = node.send(ask("OPTIONS", "/v1/notes")).await;
        assert_eq!(options.status, 204);
        assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_has_the_version_gets_304_and_head_gets_no_body() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ]);
        let mut client = node.client().await;
        let fresh = client.send(get("/v1/notes/7").token(&token)).await;
        let tag = fresh.header("etag").unwrap().to_owned();
        let kept = client
            .send(
                get("/v1/notes/7")
                    .token(&token)
                    .header("if-none-match", &format!("W/{tag}, \"x\"")),
            )
            .await;
        assert_eq!(kept.status, 304);
        assert_eq!(kept.header("etag"), Some(tag.as_str()));
        assert_eq!((kept.body.len(), kept.header("content-type")), (0, None));
        let other =
            client.send(get("/v1/notes/7").token(&token).header("if-none-match", "\"x\"")).await;
        assert_eq!(other.status, 200);
        let head = client.send(ask("HEAD", "/v1/notes/7").token(&token)).await;
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), Some(fresh.body.len().to_string().as_str()));
        assert_eq!(
            client.send(get("/v1/notes/7").token(&token)).await.status,
            200,
            "the connection is kept"
        );
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_reaches_the_unit_of_work_with_a_fingerprint() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let keyed = |how: &str, key: &str, body: u8| {
            post(&format!("/v1/acts/{how}"), &json!(body)).header("idempotency-key", key)
        };
        let first = node.send(keyed("describe", "\"k-1\"", 1)).await.json();
        let again = node.send(keyed("describe", "k-1", 1)).await.json();
        let other = node.send(keyed("describe", "k-1", 2)).await.json();
        assert_eq!(first["idempotency"]["key"], "k-1");
        assert_eq!(first["idempotency"], again["idempotency"]);
        assert_ne!(first["idempotency"], other["idempotency"]);
        let none = node.send(post("/v1/acts/describe", &json!(0))).await.json();
        assert!(none["idempotency"].is_null());
        let mismatch = node.send(keyed("mismatch", "k-1", 1)).await;
        assert_eq!(
            (mismatch.status, mismatch.problem().as_str()),
            (422, "database.idempotency.mismatch")
        );
        let replayed = node.send(keyed("replayed", "k-1", 1)).await;
        assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
        let handled = node.seen.handled.load(Ordering::SeqCst);
        let malformed = node.send(keyed("describe", "a b", 1)).await;
        assert_eq!(
            (malformed.status, malformed.problem().as_str()),
            (400, "edge.idempotency.malformed")
        );
        assert_eq!(node.seen.handled.load(Ordering::SeqCst), handled);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_consistency_token_goes_to_the_caller_of_a_change_and_comes_back_with_what_it_reads() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let act = |how: &str| post(&format!("/v1/acts/{how}"), &json!(0));
        let written = node.send(act("write")).await;
        let token = written.header("consistency-token").map(str::to_owned);
        assert_eq!(token.as_deref(), Some("000000000000beef"));
        let brought = act("describe").header("consistency-token", "000000000000beef");
        let read = node.send(brought).await;
        assert_eq!(read.header("consistency-token"), None);
        assert_eq!(read.json()["seen"], 0xBEEF);
        assert!(node.send(act("describe")).await.json()["seen"].is_null());
        let malformed = node.send(act("describe").header("consistency-token", "beef")).await;
        assert_eq!(
            (malformed.status, malformed.problem().as_str()),
            (400, "edge.consistency.malformed")
        );
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call() {
    let mut setup = Setup::new(false);
    setup.config.cors.origins = vec!["https://app.example".to_owned()];
    let node = setup.start().await;
    let preflight = |origin: &str| {
        ask("OPTIONS", "/v1/notes")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
    };
    let allowed = node.send(preflight("https://app.example")).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    let refused = node.send(preflight("https://evil.example")).await;
    assert_eq!(refused.header("access-control-allow-origin"), None);
    let read = node
        .send(post("/v1/acts/describe", &json!(0)).header("origin", "https://app.example"))
        .await;
    assert_eq!(read.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(read.header("vary"), Some("origin"));
    let unauthorised = node.send(get("/v1/notes").header("origin", "https://app.example")).await;
    assert_eq!(unauthorised.status, 401);
    assert_eq!(
        unauthorised.header("access-control-allow-origin"),
        Some("https://app.example"),
        "a page can read why it was refused"
    );
    node.stop().await;
}

#[tokio::test]
async fn the_caller_behind_a_trusted_proxy_is_known() {
    let mut setup = Setup::new(false);
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let node = setup.start().await;
    let forwarded =
        post("/v1/acts/describe", &json!(0)).header("x-forwarded-for", "6.6.6.6, 9.8.7.6");
    assert_eq!(node.send(forwarded.clone()).await.json()["address"], "9.8.7.6");
    node.stop().await;
    let node = Node::start(false).await;
    assert_eq!(
        node.send(forwarded).await.json()["address"],
        "127.0.0.1",
        "nobody is believed unasked"
    );
    node.stop().await;
}
