//! Sockets: ports, limits of heads and connections, TLS.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use troupe_actors::{System, SystemConfig};
use troupe_edge::{Edge, EdgeConfig, EdgeParts};
use troupe_kernel::{Catalog, Invalidations, SystemClock};
use troupe_telemetry::{Health, Sampling, TelemetryConfig};

use crate::client::{Client, get, post};
use crate::fixture::{Node, Setup, Users, config, root};

async fn start_fails(config: EdgeConfig) -> troupe_actors::Failure {
    let system = System::new(SystemConfig::default());
    let users = Arc::new(Users::default());
    let clock = Arc::new(SystemClock);
    let (_, spec) = Edge::build(EdgeParts {
        system: system.clone(),
        config,
        version: "0".to_owned(),
        routes: Vec::new(),
        catalog: Arc::new(Catalog::default()),
        authenticator: users.clone(),
        authorizer: users,
        invalidations: Invalidations::new(),
        ledger: None,
        sampling: Sampling::default(),
        health: Health::new(clock.clone(), &TelemetryConfig::default()),
        metrics: Arc::new(String::new),
        clock,
    })
    .unwrap();
    let failure = system.start(root(&system, [spec])).await.err();
    failure.expect("it does not start")
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_advice() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config();
    config.listen = taken.local_addr().unwrap();
    let failure = start_fails(config).await;
    assert_eq!(failure.code(), "edge.listen.in_use");
    assert!(failure.detail().contains(&taken.local_addr().unwrap().to_string()), "{failure}");
    assert!(failure.detail().contains("edge.listen"), "{failure}");
}

#[tokio::test]
async fn an_unreadable_certificate_is_refused_with_its_path() {
    let mut config = config();
    config.tls.certificate = "/nowhere/cert.pem".to_owned();
    config.tls.key = "/nowhere/key.pem".to_owned();
    let failure = start_fails(config).await;
    assert_eq!(failure.code(), "edge.tls.unreadable");
    assert!(failure.detail().contains("/nowhere/cert.pem"), "{failure}");
}

#[tokio::test]
async fn a_faulty_configuration_builds_no_edge() {
    let system = System::new(SystemConfig::default());
    let users = Arc::new(Users::default());
    let clock = Arc::new(SystemClock);
    let mut config = config();
    config.shards = 0;
    config.mailbox = 0;
    let built = Edge::build(EdgeParts {
        system,
        config,
        version: "0".to_owned(),
        routes: Vec::new(),
        catalog: Arc::new(Catalog::default()),
        authenticator: users.clone(),
        authorizer: users,
        invalidations: Invalidations::new(),
        ledger: None,
        sampling: Sampling::default(),
        health: Health::new(clock.clone(), &TelemetryConfig::default()),
        metrics: Arc::new(String::new),
        clock,
    });
    let faults = built.err().unwrap();
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_answered_408_and_an_idle_connection_is_closed() {
    let mut setup = Setup::new(false);
    setup.config.header_timeout = Duration::from_millis(200);
    setup.config.idle_timeout = Duration::from_millis(600);
    let node = setup.start().await;
    let mut slow = node.client().await;
    slow.write(b"GET /v1/notes/1 HTTP/1.1\r\nhost: a\r\nx-slow").await.unwrap();
    let answer = slow.answer(false).await.unwrap();
    assert_eq!((answer.status, answer.problem().as_str()), (408, "edge.header.slow"));
    assert!(slow.is_closed().await);
    let mut idle = node.client().await;
    assert_eq!(idle.send(get("/livez")).await.status, 200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(idle.send(get("/livez")).await.status, 200, "it may be idle longer than a head");
    assert!(idle.is_closed().await, "an idle connection ends without a word");
    node.stop().await;
}

#[tokio::test]
async fn a_head_that_is_no_http_or_too_large_is_a_problem() {
    let node = Node::start(false).await;
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x-many: 1\r\n".repeat(200));
    for (head, status, code) in [
        ("nonsense\r\n\r\n", 400, "edge.head.malformed"),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "edge.head.malformed"),
        (long.as_str(), 431, "edge.head.too_large"),
        (many.as_str(), 431, "edge.head.too_large"),
    ] {
        let mut client = node.client().await;
        // The edge may have answered and closed before all was sent.
        drop(client.write(head.as_bytes()).await);
        let answer = client.answer(false).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (status, code));
        assert!(client.is_closed().await);
    }
    node.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_those_within_are_served() {
    let mut setup = Setup::new(false);
    setup.config.connections_max = 2;
    let node = setup.start().await;
    let mut first = node.client().await;
    let mut second = node.client().await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.send(post("/v1/acts/describe", &json!(0))).await.status, 200);
    }
    let mut third = node.client().await;
    let refused = third.answer(false).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "edge.connections.full"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(first);
    let mut served = false;
    for _ in 0..100 {
        let mut client = node.client().await;
        served = client.try_send(&get("/livez")).await.is_some_and(|answer| answer.status == 200);
        if served {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(served, "a place was free again");
    assert_eq!(second.send(post("/v1/acts/describe", &json!(0))).await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn several_requests_in_one_piece_are_answered_in_order() {
    let node = Node::start(false).await;
    let mut client = node.client().await;
    let one = "POST /v1/acts/wait HTTP/1.1\r\nhost: a\r\n\r\n";
    let two = "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write(format!("{one}{two}").as_bytes()).await.unwrap();
    assert_eq!(client.answer(false).await.unwrap().status, 200);
    assert_eq!(client.answer(false).await.unwrap().status, 404);
    node.stop().await;
}

#[tokio::test]
async fn tls_serves_who_trusts_the_certificate_and_survives_who_does_not() {
    let folder = "tests/tls";
    let mut setup = Setup::new(false);
    setup.config.tls.certificate = format!("{folder}/server.pem");
    setup.config.tls.key = format!("{folder}/server.key");
    let node = setup.start().await;
    let mut plain = TcpStream::connect(node.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut told = Vec::new();
    plain.read_to_end(&mut told).await.unwrap();
    assert!(!told.starts_with(b"HTTP"), "no plain text on a TLS port");

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(format!("{folder}/authority.pem")).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));
    let stream = TcpStream::connect(node.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    let answer = Client::over(stream).send(get("/livez")).await;
    assert_eq!(answer.status, 200);
    node.stop().await;
}
