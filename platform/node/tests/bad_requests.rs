//! What a node is asked wrongly over HTTP: a status and a stable problem type for each.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::node::Node;
use crate::people::{PASSWORD, administrator, register};
use crate::web::{Answer, Asking};

fn problem(asking: Asking<'_>, status: u16, code: &str) -> Answer {
    let answer = asking.send();
    assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{answer:?}");
    answer
}

/// The answer to a head that announces a body of so many bytes, none of which is sent.
fn announced(node: &Node, line: &str, token: &str, bytes: usize) -> String {
    let host = node.base.strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(host).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the head is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, and the end of the connection");
    answer
}

#[test]
fn bodies_that_are_wrong_are_refused_with_the_place() {
    let node = Node::start();
    let ada = {
        administrator(&node);
        register(&node, "ada", Some("Ada Press"))
    };
    let post = || node.web.post("/v1/blog/posts").token(&ada.token);
    let unknown = post().json(r#"{"title":"x","colour":"red"}"#);
    let answer = problem(unknown, 400, "kernel.body.malformed");
    assert!(answer.text.contains("colour"), "{answer:?}");
    let wrong = post().json(r#"{"title":"x","tags":[1]}"#);
    let answer = problem(wrong, 400, "kernel.body.malformed");
    assert_eq!(answer.field("/errors/0/pointer"), "/tags/0", "{answer:?}");
    problem(post().json(r#"{"title":"x""#), 400, "kernel.body.malformed");
    problem(post().json(""), 400, "kernel.body.malformed");
    let typed = post().body("text/plain", br#"{"title":"x"}"#);
    problem(typed, 415, "kernel.body.media_type");
    let nul = post().json(r#"{"title":"x\u0000y"}"#);
    problem(nul, 422, "kernel.body.nul");
    let answer = announced(&node, "POST /v1/blog/posts", &ada.token, 9 << 20);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("/problems/edge.body.too_large\""), "{answer}");
    post().json(r#"{"title":"x"}"#).send().expect(201);
    let answer = announced(&node, "PUT /v1/blobs/links/made.up", &ada.token, 1 << 20);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("/problems/blobs.link.invalid\""), "{answer}");
}

#[test]
fn cursors_parameters_and_preconditions_that_are_wrong_are_refused() {
    let node = Node::start();
    administrator(&node);
    let ada = register(&node, "ada", Some("Ada Press"));
    let get = |path: &str| node.web.get(path).token(&ada.token);
    for cursor in ["x", "AAAA", "%00", "not-a-cursor-at-all-but-rather-long-0123456789"] {
        let path = format!("/v1/blog/posts?cursor={cursor}");
        let answer = get(&path).send();
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(
            ["kernel.cursor.invalid", "kernel.query.malformed"]
                .contains(&answer.problem().as_str()),
            "{answer:?}"
        );
    }
    problem(get("/v1/blog/posts?limit=0"), 400, "kernel.page.limit");
    problem(get("/v1/blog/posts?limit=101"), 400, "kernel.page.limit");
    problem(get("/v1/blog/posts?limit=many"), 400, "kernel.page.limit");
    problem(get("/v1/blog/posts?colour=red"), 400, "kernel.query.malformed");
    problem(get("/v1/blog/posts/not-an-id"), 400, "kernel.path.malformed");
    problem(get("/v1/nowhere"), 404, "edge.path.unknown");
    problem(node.web.ask("PUT", "/v1/users/me").token(&ada.token), 405, "edge.method.not_allowed");
    let made = node.web.post("/v1/blog/posts").token(&ada.token).json(r#"{"title":"x"}"#).send();
    let path = format!("/v1/blog/posts/{}", made.expect(201).field("/id"));
    let change = || node.web.ask("PATCH", &path).token(&ada.token).json(r#"{"title":"y"}"#);
    problem(change(), 428, "kernel.precondition.required");
    change().header("if-match", "\"1\"").send().expect(200);
    let stale = change().header("if-match", "\"1\"").send();
    assert_eq!(stale.status, 412, "{stale:?}");
    stale.problem();
}

#[test]
fn tokens_that_are_wrong_are_refused() {
    let node = Node::start();
    let root = administrator(&node);
    let me = || node.web.get("/v1/users/me");
    problem(me(), 401, "edge.credential.missing");
    problem(me().header("authorization", "Basic dTpw"), 401, "edge.credential.malformed");
    let (signed, signature) = root.token.rsplit_once('.').expect("a signed token");
    let mut letters: Vec<char> = signature.chars().collect();
    letters[10] = if letters[10] == 'A' { 'B' } else { 'A' };
    let forged = format!("{signed}.{}", letters.iter().collect::<String>());
    let (_, claims) = signed.split_once('.').expect("claims");
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
    for token in [forged.as_str(), unsigned.as_str(), "x", "trp_unknown", "a.b.c"] {
        let answer = me().token(token).send();
        assert_eq!(answer.status, 401, "{token}: {answer:?}");
        answer.problem();
        assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
    }
    let wrong = format!(r#"{{"email":"root@example.org","password":"not {PASSWORD}"}}"#);
    problem(node.web.post("/v1/auth/login").json(&wrong), 401, "auth.login.refused");
    me().token(&root.token).send().expect(200);
    node.web.post("/v1/auth/logout").token(&root.token).send().expect(204);
    let answer = me().token(&root.token).send();
    assert_eq!(answer.status, 401, "{answer:?}");
}
