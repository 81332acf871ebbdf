//! Bodies, paths and queries that are wrong, each with its own status and place.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::client::{Answer, Ask, ask, get, post};
use crate::fixture::{Node, READ, Setup, WRITE, both};

#[tokio::test]
async fn a_faulty_body_is_refused_with_its_place_and_never_reaches_the_service() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[WRITE]);
        let text = |body: &str| {
            ask("POST", "/v1/notes").header("content-type", "application/json").body(body)
        };
        for (request, status, code, pointer) in [
            (text("{\"text\": 1}"), 400, "kernel.body.malformed", Some("/text")),
            (
                text("{\"text\": \"a\", \"tags\": [\"b\", 2]}"),
                400,
                "kernel.body.malformed",
                Some("/tags/1"),
            ),
            (text("{\"text\": \"a\", \"txet\": 1}"), 400, "kernel.body.malformed", Some("/txet")),
            (text("{\"text\": "), 400, "kernel.body.malformed", Some("/text")),
            (text("\u{feff}{}"), 400, "kernel.body.malformed", Some("")),
            (text("{\"text\": \"a\\u0000b\"}"), 422, "kernel.body.nul", Some("/text")),
            (ask("POST", "/v1/notes"), 400, "kernel.body.malformed", Some("")),
            (
                ask("POST", "/v1/notes").header("content-type", "text/plain").body("hi"),
                415,
                "kernel.body.media_type",
                None,
            ),
            (
                ask("POST", "/v1/notes")
                    .header("content-type", "application/json")
                    .body(b"{\"text\": \"\xff\"}".to_vec()),
                400,
                "kernel.body.malformed",
                Some("/text"),
            ),
        ] {
            let answer = node.send(request.clone().token(&token)).await;
            assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{request:?}");
            let place = &answer.json()["errors"][0]["pointer"];
            assert_eq!(place.as_str(), pointer, "{request:?}");
        }
        assert_eq!(node.seen.handled.load(Ordering::SeqCst), 0);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_body_beyond_its_limit_is_refused() {
    both(|wire| async move {
        let mut setup = Setup::new(wire);
        setup.config.body_bytes_max = 1024;
        let node = setup.start().await;
        let token = node.sign_in("ann", &[WRITE]);
        let note =
            |length: usize| post("/v1/notes", &json!({"text": "x".repeat(length)})).token(&token);
        assert_eq!(node.send(note(900)).await.status, 201);
        let declared = node.send(note(2000)).await;
        assert_eq!((declared.status, declared.problem().as_str()), (413, "edge.body.too_large"));
        assert_eq!(declared.header("connection"), Some("close"));
        let mut chunked = Vec::new();
        for _ in 0..10 {
            chunked.extend_from_slice(format!("c8\r\n{}\r\n", "x".repeat(200)).as_bytes());
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let undeclared = node
            .send(
                ask("POST", "/v1/notes")
                    .token(&token)
                    .header("transfer-encoding", "chunked")
                    .body(chunked),
            )
            .await;
        assert_eq!(
            (undeclared.status, undeclared.problem().as_str()),
            (413, "edge.body.too_large")
        );
        let own = node.send(ask("PUT", "/v1/blobs/a/b").body(vec![7; 60_000])).await;
        assert_eq!((own.status, own.json()), (200, json!(60_003)), "this route has its own limit");
        let beyond = node.send(ask("PUT", "/v1/blobs/a/b").body(vec![7; 70_000])).await;
        assert_eq!(beyond.status, 413);
        node.stop().await;
    })
    .await;
}

/// The head and the body of a request that is far too long, declared or in pieces.
fn far_too_long(token: &str, declared: bool) -> (Vec<u8>, Vec<u8>) {
    const LENGTH: usize = 8 << 20;
    let field = if declared {
        format!("content-length: {LENGTH}")
    } else {
        "transfer-encoding: chunked".to_owned()
    };
    let head = format!(
        "POST /v1/notes HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n{field}\r\n\r\n"
    );
    let mut body = vec![b'x'; LENGTH];
    if !declared {
        body.splice(0..0, format!("{LENGTH:x}\r\n").into_bytes());
        body.extend_from_slice(b"\r\n0\r\n\r\n");
    }
    (head.into_bytes(), body)
}

async fn refusing_node() -> (Node, String) {
    let mut setup = Setup::new(false);
    setup.config.body_bytes_max = 1 << 20;
    let node = setup.start().await;
    let token = node.sign_in("ann", &[WRITE]);
    (node, token)
}

#[tokio::test]
async fn a_caller_that_sends_all_before_it_reads_gets_the_whole_refusal() {
    let (node, token) = refusing_node().await;
    for declared in [true, false].repeat(5) {
        let mut client = node.client().await;
        let (head, body) = far_too_long(&token, declared);
        client.write(&head).await.unwrap();
        client.write(&body).await.expect("all of it is taken");
        let answer = client.answer(false).await.expect("an answer");
        assert_eq!((answer.status, answer.problem().as_str()), (413, "edge.body.too_large"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed().await);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_caller_is_refused_before_it_has_sent_all_and_may_go_on() {
    let (node, token) = refusing_node().await;
    let mut client = node.client().await;
    let (head, body) = far_too_long(&token, true);
    client.write(&head).await.unwrap();
    let answer = client.answer(false).await.expect("an answer");
    assert_eq!((answer.status, answer.problem().as_str()), (413, "edge.body.too_large"));
    client.write(&body).await.expect("it is taken and thrown away");
    assert!(client.is_closed().await);
    node.stop().await;
}

#[tokio::test]
async fn a_caller_that_never_ends_is_cut_off() {
    let (node, token) = refusing_node().await;
    let mut client = node.client().await;
    let head = format!(
        "POST /v1/notes HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 1099511627776\r\n\r\n"
    );
    client.write(head.as_bytes()).await.unwrap();
    let (chunk, mut mebibytes) = (vec![b'x'; 1 << 20], 0);
    let sending = async {
        while client.write(&chunk).await.is_ok() {
            mebibytes += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), sending).await.expect("it is cut off");
    // The limit and what the two sockets hold.
    assert!((8..64).contains(&mebibytes), "{mebibytes} MiB were taken");
    node.stop().await;
}

#[tokio::test]
async fn a_body_in_pieces_arrives_whole() {
    let node = Node::start(false).await;
    let pieces = b"3\r\nabc\r\n1\r\nd\r\n2\r\nef\r\n0\r\n\r\n";
    let answer = node
        .send(ask("PUT", "/v1/blobs/k").header("transfer-encoding", "chunked").body(*pieces))
        .await;
    assert_eq!(answer.json(), json!(7));
    node.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let node = Node::start(false).await;
    let mut client = node.client().await;
    client
        .write(b"POST /v1/hurry/describe HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        .await
        .unwrap();
    let answer = client.answer(false).await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (408, "edge.body.slow"));
    assert!(client.is_closed().await);
    node.stop().await;
}

#[tokio::test]
async fn a_faulty_path_or_query_is_refused() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ]);
        for (path, code, pointer) in [
            ("/v1/notes/x", "kernel.path.malformed", Some("id")),
            ("/v1/notes/-1", "kernel.path.malformed", Some("id")),
            ("/v1/notes/%ff", "edge.path.malformed", None),
            ("/v1/notes/%00", "edge.path.malformed", None),
            ("/v1/notes?count=x", "kernel.query.malformed", Some("count")),
            ("/v1/notes", "kernel.query.malformed", Some("count")),
            ("/v1/notes?count=1&tga=x", "kernel.query.malformed", Some("tga")),
            ("/v1/notes?count=1&limit=1000", "kernel.page.limit", Some("limit")),
        ] {
            let answer = node.send(get(path).token(&token)).await;
            assert_eq!((answer.status, answer.problem().as_str()), (400, code), "{path}");
            assert_eq!(answer.json()["errors"][0]["pointer"].as_str(), pointer, "{path}");
        }
        assert_eq!(node.send(get("/v1/notes?count=1&limit=5").token(&token)).await.status, 200);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_unread_body_of_a_refused_request_does_no_harm() {
    let node = Node::start(false).await;
    let mut client = node.client().await;
    let refused = client.send(post("/v1/notes", &json!({"text": "x".repeat(50_000)}))).await;
    assert_eq!(refused.status, 401);
    let next = tokio::time::timeout(
        Duration::from_secs(5),
        client.send(post("/v1/acts/describe", &json!(0))),
    )
    .await
    .unwrap();
    assert_eq!(next.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn bodies_share_a_budget_and_give_it_back() {
    let mut setup = Setup::new(false);
    setup.config.body_bytes_max = 16 * 1024;
    setup.config.bodies_bytes_max = 32 * 1024;
    let node = setup.start().await;
    let mut waiting = node.client().await;
    let mut most =
        b"POST /v1/acts/describe HTTP/1.1\r\nhost: a\r\ncontent-length: 16384\r\n\r\n".to_vec();
    most.resize(most.len() + 16_383, b'1');
    waiting.write(&most).await.unwrap();
    let large = || ask("PUT", "/v1/blobs/k").body(vec![7; 20_000]);
    let refused = answer_with(&node, large, 503).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "edge.bodies.full"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(node.send(ask("PUT", "/v1/blobs/k").body(vec![7; 9000])).await.status, 200);
    drop(waiting);
    answer_with(&node, large, 200).await;
    node.stop().await;
}

#[tokio::test]
async fn slow_bodies_of_a_great_declared_length_keep_nobody_out() {
    let mut setup = Setup::new(false);
    setup.config.body_bytes_max = 10 << 20;
    let node = setup.start().await;
    let mut slow = Vec::new();
    for length in
        ["content-length: 10485760\r\n\r\n1", "transfer-encoding: chunked\r\n\r\n1\r\n1\r\n"]
            .iter()
            .cycle()
            .take(40)
    {
        let mut client = node.client().await;
        let text = format!("POST /v1/acts/describe HTTP/1.1\r\nhost: a\r\n{length}");
        client.write(text.as_bytes()).await.unwrap();
        slow.push(client);
    }
    // The edge has read what the slow ones sent before it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let sign_in = json!({"email": "ann@example.test", "password": "x".repeat(500)});
    assert_eq!(node.send(post("/v1/acts/describe", &sign_in)).await.status, 200);
    let long = node.send(ask("PUT", "/v1/blobs/k").body(vec![7; 60_000])).await;
    assert_eq!(long.status, 200);
    drop(slow);
    node.stop().await;
}

/// Asks until the answer has this status.
async fn answer_with(node: &Node, ask: impl Fn() -> Ask, status: u16) -> Answer {
    for _ in 0..100 {
        let answer = node.send(ask()).await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no answer had the status {status}");
}
