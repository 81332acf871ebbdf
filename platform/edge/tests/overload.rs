//! What happens when something is full, late, or broken.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use troupe_actors::Scope;
use troupe_kernel::PermissionsChanged;
use troupe_kernel::invalidation::RevokeEverybody;

use crate::client::{Client, get, post};
use crate::fixture::{Node, READ, Setup, both, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox_answers_503_with_a_time_to_come_back() {
    both(|wire| async move {
        let mut setup = Setup::new(wire);
        setup.capacity = 4;
        setup.workers = 1;
        let node = setup.start().await;
        let mut requests = JoinSet::new();
        for _ in 0..30 {
            let address = node.address;
            requests.spawn(async move {
                Client::connect(address).await.send(post("/v1/acts/gate", &json!(0))).await
            });
        }
        let mut shed = Vec::new();
        while shed.len() < 20 {
            shed.push(requests.join_next().await.unwrap().unwrap());
        }
        for answer in &shed {
            assert_eq!((answer.status, answer.problem().as_str()), (503, "actors.mailbox.full"));
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        node.gate.add_permits(30);
        let kept = requests.join_all().await;
        let served = kept.iter().filter(|answer| answer.status == 200).count();
        assert!(served >= 3, "who was in the mailbox is served: {served}");
        assert_eq!(node.send(post("/v1/acts/describe", &json!(0))).await.status, 200);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_gate_sheds_and_recovers() {
    both(|wire| async move {
        let mut setup = Setup::new(wire);
        setup.config.mailbox = 1;
        setup.config.shards = 1;
        let node = setup.start().await;
        let mut requests = JoinSet::new();
        for _ in 0..200 {
            let mut client = node.client().await;
            requests.spawn(async move { client.send(post("/v1/acts/describe", &json!(0))).await });
        }
        let answers = requests.join_all().await;
        let shed = answers.iter().filter(|answer| answer.status == 503);
        assert!(shed.clone().all(|answer| answer.problem() == "actors.mailbox.full"));
        assert!(shed.clone().all(|answer| answer.header("retry-after") == Some("1")));
        let served = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(shed.count() > 0 && served > 0, "{served} of 200 were served");
        assert_eq!(node.send(post("/v1/acts/describe", &json!(0))).await.status, 200);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn full_gates_keep_no_revocation_from_being_acknowledged() {
    both(|wire| async move {
        let mut setup = Setup::new(wire);
        setup.config.mailbox = 1;
        setup.config.shards = 2;
        let node = Arc::new(setup.start().await);
        let mut publishing = JoinSet::new();
        for _ in 0..100 {
            let node = node.clone();
            publishing.spawn(async move {
                let scope = Scope::system("test", Duration::from_secs(20));
                node.invalidations.publish(&scope, RevokeEverybody).await.unwrap();
                node.invalidations.publish(&scope, PermissionsChanged::default()).await.unwrap();
            });
        }
        publishing.join_all().await;
        Arc::into_inner(node).unwrap().stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_late_is_504_and_the_service_goes_on() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let late = node.send(post("/v1/hurry/wait", &json!(0))).await;
        assert_eq!((late.status, late.problem().as_str()), (504, "actors.deadline.expired"));
        assert_eq!(node.send(post("/v1/acts/wait", &json!(0))).await.status, 200);
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_the_service_is_500_and_the_next_request_works() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let mut client = node.client().await;
        let crashed = client.send(post("/v1/acts/panic", &json!(0))).await;
        assert_eq!((crashed.status, crashed.problem().as_str()), (500, "actors.handler.crashed"));
        assert_eq!(client.send(post("/v1/acts/describe", &json!(0))).await.status, 200);
        let crash = &node.system.crashes(1)[0];
        assert!(crash.reason.contains("cursed"), "{crash:?}");
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_a_translation_costs_its_request_only() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let mut client = node.client().await;
        for _ in 0..20 {
            let before = client.send(post("/v1/acts/translation-panic", &json!(0))).await;
            assert_eq!(before.status, 500, "{before:?}");
            let after = client.send(post("/v1/respond-panic", &json!(0))).await;
            assert_eq!((after.status, after.problem().as_str()), (500, "edge.answer.crashed"));
        }
        assert_eq!(client.send(post("/v1/acts/describe", &json!(0))).await.status, 200);
        assert_eq!(node.system.crash_count(), 0, "no gate was restarted");
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_request_that_nobody_answers_fails_at_once() {
    let node = Node::start(false).await;
    let answer = node.send(post("/v1/acts/nothing", &json!(0))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (500, "actors.reply.dropped"));
    node.stop().await;
}

#[tokio::test]
async fn a_caller_that_leaves_does_no_harm() {
    let node = Node::start(false).await;
    let mut client = node.client().await;
    client.write(b"POST /v1/acts/wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(client);
    assert_eq!(node.send(post("/v1/acts/describe", &json!(0))).await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn a_panic_in_the_authenticator_fails_its_request_at_once_and_no_other() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let cursed = node.send(get("/v1/notes/1").token("cursed")).await;
        assert_eq!((cursed.status, cursed.problem().as_str()), (500, "edge.gate.crashed"));
        let token = node.sign_in("ann", &[READ]);
        assert_eq!(node.send(get("/v1/notes/1").token(&token)).await.status, 200);
        assert_eq!(node.system.crash_count(), 1, "the crash is recorded");
        node.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_loses_no_request() {
    both(|wire| async move {
        let node = Node::start(wire).await;
        let token = node.sign_in("ann", &[READ]);
        let mut callers = JoinSet::new();
        for number in 0..20 {
            let (address, token) = (node.address, token.clone());
            callers.spawn(async move {
                let mut client = Client::connect(address).await;
                let mut served = 0;
                loop {
                    let ask = if number % 4 == 0 {
                        post("/v1/acts/wait", &json!(0))
                    } else {
                        get("/v1/notes/1").token(&token)
                    };
                    let answer = client.try_send(&ask).await.expect("every request is answered");
                    assert_eq!(answer.status, 200);
                    served += 1;
                    if answer.header("connection") == Some("close") {
                        assert!(client.is_closed().await);
                        return served;
                    }
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let drained = node.edge.drain().await.unwrap();
        assert_eq!(drained.unfinished, 0);
        let served = callers.join_all().await;
        assert!(served.iter().all(|count| *count > 0), "{served:?}");
        let late = tokio::net::TcpStream::connect(node.address).await;
        assert!(late.is_err(), "nobody listens any more");
        node.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let mut setup = Setup::new(false);
    setup.config.drain_timeout = Duration::from_millis(400);
    let node = setup.start().await;
    let mut client = node.client().await;
    client.write(b"POST /v1/acts/gate HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until("the request is at work", || {
        node.seen.handled.load(std::sync::atomic::Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(node.edge.drain().await.unwrap().unfinished, 1);
    assert!(client.is_closed().await);
    node.stop().await;
}
