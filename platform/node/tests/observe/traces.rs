//! Traces of nodes, as they come to a collector of OpenTelemetry.

use std::time::{Duration, Instant};

use serde_json::json;
use troupe_kernel::Uuid;

use super::collector::{Collector, Span, WITHIN};
use super::eventually;
use crate::data::{Postgres, run_sql};
use crate::node::Node;
use crate::people::administrator;
use crate::web::Answer;

/// A clock that is read twice may differ by this between two batches.
const SKEW_NANOS: u64 = 5_000_000;
/// Kinds of spans as OTLP numbers them.
const SERVER: i64 = 2;
const CLIENT: i64 = 3;
/// OTLP's status of what failed.
const ERROR: i64 = 2;

fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no span {name} in {spans:#?}"))
}

/// The names from a span up to the first of the trace that we have.
fn way_up<'a>(spans: &'a [Span], from: &'a Span) -> Vec<&'a str> {
    let (mut way, mut at) = (vec![from.name.as_str()], from);
    while let Some(parent) = spans.iter().find(|span| span.id == at.parent) {
        assert!(parent.began <= at.began + SKEW_NANOS, "{} began before {}", at.name, parent.name);
        way.push(&parent.name);
        at = parent;
    }
    way
}

/// A trace that nobody else has.
fn new_trace() -> String {
    Uuid::now_v7().simple().to_string()
}

fn flags(answer: &Answer) -> &str {
    &answer.header("traceparent").expect("the field")[53..]
}

fn post(node: &Node, token: &str, traceparent: &str) -> Answer {
    let body = json!({ "title": "a traced post" }).to_string();
    let request = node.web.post("/v1/blog/posts").token(token).json(&body);
    request.header("traceparent", traceparent).send()
}

#[test]
fn a_request_is_one_trace_from_the_caller_to_the_database_and_on_with_its_events() {
    let Some(collector) = Collector::here() else { return };
    let node = collector.node(&["traces.ratio=0", "traces.environment=test"]);
    let root = administrator(&node);
    let trace = new_trace();
    let answer = post(&node, &root.token, &format!("00-{trace}-00f067aa0ba902b7-01")).expect(201);
    assert_eq!(flags(&answer), "01", "the caller decides");

    let spans = collector.wait(&trace, "POST /v1/blog/posts");
    let server = find(&spans, "POST /v1/blog/posts");
    assert_eq!(server.parent, "00f067aa0ba902b7");
    let traceparent = answer.header("traceparent").expect("the field");
    assert_eq!(traceparent, format!("00-{trace}-{}-01", server.id));
    assert_eq!((server.kind, server.status), (SERVER, 0));
    assert!(server.ended >= server.began);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/blog/posts"),
        ("url.path", "/v1/blog/posts"),
        ("http.response.status_code", "201"),
        ("troupe.request", answer.header("x-request-id").expect("the field")),
    ] {
        assert_eq!(server.attributes.get(name).map(String::as_str), Some(value), "{name}");
    }
    for (name, value) in [
        ("service.name", "troupe"),
        ("service.instance.id", "lab"),
        ("deployment.environment.name", "test"),
    ] {
        assert_eq!(server.resource.get(name).map(String::as_str), Some(value), "{name}");
    }

    let spans = collector.wait(&trace, "database.write");
    let writes = spans.iter().filter(|span| span.name == "database.write");
    let ways: Vec<_> = writes.clone().map(|span| way_up(&spans, span)).collect();
    let expected = [
        "database.write",
        "blog.posts CreatePost",
        "edge.deliver Passage",
        "edge.rate Passage",
        "edge.authz Passage",
        "edge.auth Passage",
        "edge.rate Passage",
        "POST /v1/blog/posts",
    ];
    assert!(ways.iter().any(|way| way.as_slice() == expected), "{ways:#?}");
    assert!(writes.clone().all(|span| span.kind == CLIENT));
    let service = find(&spans, "blog.posts CreatePost");
    let actor = service.attributes.get("troupe.actor").expect("its actor");
    assert!(actor.starts_with("/lab/") || actor.starts_with("lab/"), "{actor}");

    // What the post's events cause is part of the trace, by the span that committed them.
    let applied = eventually("a consumer's span", WITHIN, || {
        let spans = collector.spans(&trace);
        let is_consumer =
            |span: &&Span| span.parent == service.id && !span.name.starts_with("database.");
        spans.iter().find(is_consumer).cloned()
    });
    assert!(applied.began + SKEW_NANOS >= service.began, "{applied:?}");
}

#[test]
fn a_trace_goes_on_at_the_node_that_is_called_and_at_the_one_that_applies_the_events() {
    let Some(collector) = Collector::here() else { return };
    let Some(database) = Postgres::create() else { return };
    let url = format!("database.url={}", database.url());
    let key = format!("auth.key_encryption_key={}=", "A".repeat(43));
    let start =
        |name: &str| collector.node(&[&url, &key, "traces.ratio=0", &format!("node.name={name}")]);
    let east = start("east");
    // Before there is a second node, which then knows by what key the tokens are signed.
    let root = administrator(&east);
    let west = start("west");
    let trace = new_trace();
    let first = post(&east, &root.token, &format!("00-{trace}-00f067aa0ba902b7-01")).expect(201);
    post(&west, &root.token, first.header("traceparent").expect("the field")).expect(201);

    let servers = eventually("both nodes sent their spans", WITHIN, || {
        let mut spans = collector.spans(&trace);
        spans.retain(|span| span.kind == SERVER);
        (spans.len() == 2).then_some(spans)
    });
    let at = |node: &str| servers.iter().find(|span| span.node() == node).expect("its span");
    assert_eq!(at("east").parent, "00f067aa0ba902b7");
    assert_eq!(at("west").parent, at("east").id);

    // One node holds the lease of the consumer: what the other has written is applied there.
    eventually("a service of one node is the cause of work at the other", WITHIN, || {
        let spans = collector.spans(&trace);
        let is_elsewhere = |span: &Span| {
            let mut services = spans.iter().filter(|cause| cause.name == "blog.posts CreatePost");
            services.any(|cause| cause.id == span.parent && cause.node() != span.node())
        };
        spans.iter().any(is_elsewhere).then_some(())
    });
}

#[test]
fn what_the_caller_does_not_record_leaves_no_span_unless_it_fails() {
    let Some(collector) = Collector::here() else { return };
    let node = collector.node(&["traces.ratio=1"]);
    let root = administrator(&node);
    let quiet = new_trace();
    let answer = post(&node, &root.token, &format!("00-{quiet}-00f067aa0ba902b7-00")).expect(201);
    assert_eq!(flags(&answer), "00");
    let own = node.web.get("/v1/users/me").token(&root.token).send().expect(200);
    assert_eq!(flags(&own), "01", "the ratio is one");
    let trace = own.header("traceparent").expect("the field")[3..35].to_owned();
    let spans = collector.wait(&trace, "GET /v1/users/me");
    assert_eq!(find(&spans, "GET /v1/users/me").parent, "", "it begins the trace");

    run_sql(&node.data(), "ALTER TABLE blog_posts RENAME TO blog_posts_gone");
    let failed = new_trace();
    post(&node, &root.token, &format!("00-{failed}-00f067aa0ba902b7-00")).expect(500);
    let spans = collector.wait(&failed, "POST /v1/blog/posts");
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert_eq!(spans[0].status, ERROR);
    assert_eq!(spans[0].attributes["troupe.sampled"], "failure");
    assert!(spans[0].attributes.contains_key("error.type"), "{spans:?}");
    assert_eq!(collector.spans(&quiet).len(), 0, "what was not recorded came nevertheless");
}

#[test]
fn a_collector_that_is_away_costs_no_request_anything_and_what_is_lost_is_counted() {
    let node = Node::with(&[
        "traces.url=http://127.0.0.1:1",
        "traces.ratio=1",
        "traces.waiting_max=20",
        "traces.every=50ms",
        "traces.batch_max=10",
        "traces.retry_max=1s",
    ]);
    let root = administrator(&node);
    let dropped = |reason: &str| {
        let text = node.web.get("/metrics").send().text;
        let name = format!("troupe_spans_dropped_total{{reason=\"{reason}\"}}");
        text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse::<f64>().ok())
    };
    let begun = Instant::now();
    for _ in 0..200 {
        node.web.get("/v1/users/me").token(&root.token).send().expect(200);
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?} for 200 requests", begun.elapsed());
    for reason in ["full", "away"] {
        let counted = || dropped(reason).filter(|count| *count >= 10.0);
        eventually(&format!("spans dropped: {reason}"), WITHIN, counted);
    }
    assert!(node.log().contains("the collector of traces takes no spans"), "it is said");
}
