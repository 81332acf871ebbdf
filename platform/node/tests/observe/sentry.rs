//! Errors of a node, as they come to a server that speaks Sentry's protocol.

use std::time::Duration;

use serde_json::json;

use super::envelope::{Endpoint, Envelope};
use super::eventually;
use crate::data::run_sql;
use crate::node::Node;
use crate::people::{PASSWORD, Person, administrator};

const WITHIN: Duration = Duration::from_secs(60);
/// What a request brings and nobody else is to see.
const BODY: &str = "a body that stays in the house";
const QUERY: &str = "q9fK2mQ81xLZ0aB3cD4eF5gHj";

fn reporting_to(endpoint: &Endpoint, window: &str) -> Node {
    let dsn = format!("sentry.dsn={}", endpoint.dsn());
    let window = format!("telemetry.errors_window={window}");
    Node::with(&[&dsn, &window, "sentry.environment=test", "node.name=lab"])
}

/// Takes a table away, so that a request fails by our fault.
fn break_posts(node: &Node) {
    run_sql(&node.data(), "ALTER TABLE blog_posts RENAME TO blog_posts_gone");
}

fn fail(node: &Node, root: &Person) -> String {
    let body = json!({ "title": BODY }).to_string();
    let path = format!("/v1/blog/posts?token={QUERY}");
    let answer = node.web.post(&path).token(&root.token).json(&body).send().expect(500);
    answer.header("x-request-id").expect("an id").to_owned()
}

fn metric(node: &Node, line: &str) -> f64 {
    let text = node.web.get("/metrics").send().text;
    let found = text.lines().find_map(|shown| shown.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or(0.0)
}

#[test]
fn a_request_that_fails_by_our_fault_is_reported_once_with_its_cause_and_without_secrets() {
    let endpoint = Endpoint::answering("200 OK", "");
    let node = reporting_to(&endpoint, "60s");
    let root = administrator(&node);
    break_posts(&node);
    let request = fail(&node, &root);
    let cause = endpoint.event("no such table");
    let event = &cause.event;
    assert_eq!(event["environment"], "test");
    assert_eq!(event["server_name"], "lab");
    let release = event["release"].as_str().expect("a release");
    assert!(release.starts_with("troupe@"), "{release}");
    assert_eq!(event["level"], "error");
    assert_eq!(event["tags"]["request"], request.as_str());
    let trace = event["contexts"]["trace"]["trace_id"].as_str().expect("a trace");
    assert!(node.log().contains(trace), "the log has the trace {trace}");

    let ended = endpoint.event("a request failed on our side");
    assert_eq!(ended.event["tags"]["request"], request.as_str());
    assert_eq!(ended.event["contexts"]["trace"]["trace_id"], trace);
    let frames = &ended.event["exception"]["values"][0]["stacktrace"]["frames"];
    assert!(frames[0]["filename"].as_str().is_some_and(|file| file.ends_with(".rs")), "{ended:?}");

    for _ in 0..10 {
        fail(&node, &root);
    }
    std::thread::sleep(Duration::from_secs(1));
    let envelopes = endpoint.envelopes();
    let again = envelopes.iter().filter(|each| each.event["exception"] == event["exception"]);
    assert_eq!(again.count(), 1, "the same error is told once: {envelopes:?}");
    for Envelope { text, .. } in &envelopes {
        for secret in [BODY, QUERY, PASSWORD, root.token.as_str(), "root@example.org"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let sent = metric(&node, "troupe_error_reports_sent_total");
    assert!(sent >= 2.0, "{sent} were counted");
}

#[test]
fn a_server_that_wants_no_more_gets_no_more() {
    for (status, fields) in [
        ("429 Too Many Requests", "retry-after: 600\r\n"),
        ("200 OK", "x-sentry-rate-limits: 600:error;default:organization\r\n"),
    ] {
        let endpoint = Endpoint::answering(status, fields);
        let node = reporting_to(&endpoint, "1s");
        let root = administrator(&node);
        break_posts(&node);
        fail(&node, &root);
        eventually("the first report came", WITHIN, || endpoint.envelopes().pop());
        // What was under way already may still come.
        std::thread::sleep(Duration::from_secs(1));
        let before = endpoint.envelopes().len();
        let unwanted = "troupe_error_reports_dropped_total{reason=\"unwanted\"}";
        let known = metric(&node, unwanted);
        eventually("what comes again is not reported", WITHIN, || {
            fail(&node, &root);
            (metric(&node, unwanted) > known).then_some(())
        });
        assert_eq!(endpoint.envelopes().len(), before, "{status}, {fields}");
    }
}

#[test]
fn a_server_that_is_away_costs_no_request_anything() {
    let node = Node::with(&["sentry.dsn=http://key@127.0.0.1:1/1", "sentry.timeout=1s"]);
    let root = administrator(&node);
    break_posts(&node);
    fail(&node, &root);
    let away = "troupe_error_reports_dropped_total{reason=\"away\"}";
    eventually("it is counted", WITHIN, || (metric(&node, away) >= 1.0).then_some(()));
    node.web.get("/v1/users/me").token(&root.token).send().expect(200);
}
