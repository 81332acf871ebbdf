//! An event of an organisation reaches its endpoint through the whole node: outbox, consumer, job, courier.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::node::Node;
use crate::people::{administrator, register};

const WITHIN: Duration = Duration::from_secs(30);

/// Takes one request and answers it with 204: its header lines and its body.
fn receive(listener: &TcpListener) -> (Vec<String>, Value) {
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(WITHIN)).expect("a socket");
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_ascii_lowercase());
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.expect("a length").parse().expect("a number")];
    reader.read_exact(&mut body).expect("a body");
    reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer");
    (lines, serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn a_post_that_is_published_is_posted_to_the_endpoint_of_its_organisation() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("an address").port();
    let node = Node::with(&[
        "notify.webhooks.https_only=false",
        "notify.webhooks.allow_networks=127.0.0.0/8",
    ]);
    administrator(&node);
    let ada = register(&node, "ada", Some("Hush Press"));
    let ask = |path: &str, body: &str| node.web.post(path).token(&ada.token).json(body).send();
    let endpoint =
        format!(r#"{{"url":"http://127.0.0.1:{port}/in","events":["blog.post.published"]}}"#);
    let made = ask("/v1/webhooks/endpoints", &endpoint).expect(201);
    assert!(made.field("/secret").starts_with("whsec_"));
    let post = ask("/v1/blog/posts", r#"{"title":"Hush","body":"hush"}"#).expect(201).field("/id");
    ask(&format!("/v1/blog/posts/{post}/publish"), "{}").expect(200);

    let (lines, body) = receive(&listener);
    assert_eq!(lines[0], "post /in http/1.1");
    for header in ["webhook-id: ", "webhook-timestamp: ", "webhook-signature: v1,"] {
        assert!(lines.iter().any(|line| line.starts_with(header)), "no {header} in {lines:?}");
    }
    assert_eq!(body["type"], "blog.post.published");
    assert_eq!(body["organisation"], ada.organisation());
    let began = Instant::now();
    loop {
        let log = node.web.get("/v1/webhooks/deliveries").token(&ada.token).send().expect(200);
        if log.field("/items/0/state") == "delivered" {
            break;
        }
        assert!(began.elapsed() < WITHIN, "{log:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
