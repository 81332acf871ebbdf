//! Too much at once, and the end of the node in the middle of its work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use crate::load::{Outcome, Writers, titles};
use crate::node::Node;
use crate::people::{PASSWORD, administrator, log_in, register};
use crate::web::Web;

/// Requests that the node under overload may have in work and waiting for a password's hash.
const ROOM: usize = 4;

fn written(outcomes: &[Outcome]) -> BTreeSet<String> {
    let made = |outcome: &&Outcome| matches!(&outcome.answer, Some(answer) if answer.status == 201);
    outcomes.iter().filter(made).map(|outcome| outcome.title.clone()).collect()
}

#[test]
fn a_full_mailbox_sheds_with_the_time_to_come_back_and_the_node_stays_up() {
    let node = Node::with(&[
        "auth.password_pool.workers=1",
        "auth.password_pool.queue=3",
        "auth.password_hash.memory_kib=19456",
        "auth.password_hash.iterations=4",
    ]);
    administrator(&node);
    // Each thread asks again at once: always twice as many as there is room for, and more.
    let threads = (0..ROOM * 4).map(|_| {
        let web = Web::new(&node.base);
        std::thread::spawn(move || {
            let body = json!({ "email": "root@example.org", "password": PASSWORD }).to_string();
            (0..15).map(|_| web.post("/v1/auth/login").json(&body).send()).collect::<Vec<_>>()
        })
    });
    let threads: Vec<_> = threads.collect();
    for _ in 0..20 {
        // What needs no password is answered all the while.
        node.web.get("/livez").send().expect(200);
        node.web.get("/.well-known/jwks.json").send().expect(200);
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut counts = BTreeMap::new();
    for answer in threads.into_iter().flat_map(|thread| thread.join().expect("no panic")) {
        *counts.entry(answer.status).or_insert(0_u32) += 1;
        match answer.status {
            200 => {}
            429 | 503 => {
                let wait = answer.header("retry-after").expect("the time to wait");
                assert!(wait.parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{answer:?}");
                answer.problem();
            }
            _ => panic!("neither done nor shed: {answer:?}"),
        }
    }
    let count = |status| counts.get(&status).copied().unwrap_or(0);
    assert!(count(503) + count(429) > 0, "nothing was shed: {counts:?}");
    assert!(count(200) > 0, "nothing was done: {counts:?}");
    log_in(&node, "root@example.org");
    node.web.get("/readyz").send().expect(200);
}

#[test]
fn full_gates_shed_and_the_node_stays_up() {
    let node = Node::with(&["edge.mailbox=1", "edge.shards=1"]);
    let root = administrator(&node);
    let writers = Writers::start(&node, &root, 48);
    std::thread::sleep(Duration::from_secs(2));
    let outcomes = writers.finish();
    let mut shed = 0;
    for outcome in &outcomes {
        let answer = outcome.answer.as_ref().expect("every request is answered");
        match answer.status {
            201 => {}
            429 | 503 => {
                shed += 1;
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                answer.problem();
            }
            _ => panic!("neither done nor shed: {answer:?}"),
        }
    }
    assert!(shed > 0, "nothing of {} was shed", outcomes.len());
    node.web.get("/readyz").send().expect(200);
    let there: BTreeSet<String> = titles(&node, &root).into_iter().collect();
    assert_eq!(there, written(&outcomes), "what was shed was not done");
}

#[test]
fn sigterm_under_load_loses_no_request() {
    let mut node = Node::start();
    let root = administrator(&node);
    let writers = Writers::start(&node, &root, 16);
    writers.wait_for(30);
    node.signal("TERM");
    let status = node.ended();
    assert!(status.success(), "{status}");
    assert!(node.log().contains("the edge is drained"), "{}", node.log());
    let outcomes = writers.finish();
    assert!(outcomes.iter().any(|outcome| outcome.answer.is_none()), "the load outlived the node");
    for answer in outcomes.iter().filter_map(|outcome| outcome.answer.as_ref()) {
        assert!(matches!(answer.status, 201 | 503), "{answer:?}");
    }
    node.again();
    let root = log_in(&node, "root@example.org");
    let there: BTreeSet<String> = titles(&node, &root).into_iter().collect();
    assert_eq!(there, written(&outcomes), "exactly what was answered was done");
}

#[test]
fn a_killed_node_keeps_every_acknowledged_write() {
    let mut node = Node::start();
    let root = administrator(&node);
    let mut acknowledged = BTreeSet::new();
    for _ in 0..2 {
        let writers = Writers::start(&node, &root, 8);
        writers.wait_for(30);
        node.signal("KILL");
        node.ended();
        acknowledged.extend(written(&writers.finish()));
        node.again();
        node.web.get("/readyz").send().expect(200);
    }
    let there: BTreeSet<String> = titles(&node, &root).into_iter().collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert_eq!(lost, [""; 0], "of {} acknowledged", acknowledged.len());
    let verified = crate::node::run(node.directory(), &["--data", "data", "audit", "verify"]);
    assert!(verified.good().contains("is intact"));
}

#[test]
fn a_second_organisation_survives_a_kill_right_after_the_answer() {
    let mut node = Node::start();
    administrator(&node);
    let ada = register(&node, "ada", Some("Ada Press"));
    node.signal("KILL");
    node.ended();
    node.again();
    node.web.get("/v1/users/me").token(&ada.token).send().expect(200);
}
