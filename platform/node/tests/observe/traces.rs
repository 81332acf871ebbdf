//! Traces of a node, as they come to a collector of OpenTelemetry.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use troupe_kernel::Uuid;

use super::{eventually, given};
use crate::data::run_sql;
use crate::node::Node;
use crate::people::administrator;
use crate::web::Answer;

const WITHIN: Duration = Duration::from_secs(20);
/// A clock that is read twice may differ by this between two batches.
const SKEW_NANOS: u64 = 5_000_000;
/// Kinds of spans as OTLP numbers them.
const SERVER: i64 = 2;
const CLIENT: i64 = 3;
/// OTLP's status of what failed.
const ERROR: i64 = 2;

/// The collector of the tests, which writes down what it gets.
struct Collector {
    url: String,
    file: String,
}

#[derive(Debug, Clone)]
struct Span {
    id: String,
    parent: String,
    name: String,
    kind: i64,
    status: i64,
    began: u64,
    ended: u64,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
}

impl Collector {
    /// None where there is none.
    fn here() -> Option<Self> {
        let url = given("TROUPE_TEST_OTLP_URL")?;
        Some(Self { url, file: given("TROUPE_TEST_OTLP_FILE")? })
    }

    fn node(&self, settings: &[&str]) -> Node {
        let url = format!("traces.url={}", self.url);
        let mut all = vec![url.as_str(), "traces.every=50ms", "node.name=lab"];
        all.extend(settings);
        Node::with(&all)
    }

    /// The spans of a trace that came so far.
    fn spans(&self, trace: &str) -> Vec<Span> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut spans = Vec::new();
        // The end of the file may be half a line.
        let lines = text.lines().filter(|line| line.contains(trace));
        for batch in lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            for resource in batch["resourceSpans"].as_array().into_iter().flatten() {
                let of = attributes(&resource["resource"]["attributes"]);
                for scope in resource["scopeSpans"].as_array().into_iter().flatten() {
                    let found = scope["spans"].as_array().into_iter().flatten();
                    let ours = found.filter(|span| span["traceId"] == trace);
                    spans.extend(ours.map(|span| Span::read(span, &of)));
                }
            }
        }
        spans
    }

    /// Waits until a trace has a span of this name.
    fn wait(&self, trace: &str, name: &str) -> Vec<Span> {
        eventually(&format!("{trace} has a span {name}"), WITHIN, || {
            let spans = self.spans(trace);
            spans.iter().any(|span| span.name == name).then_some(spans)
        })
    }
}

impl Span {
    fn read(span: &Value, resource: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
        let nanos = |name: &str| text(name).parse().expect("a time");
        Self {
            id: text("spanId"),
            parent: text("parentSpanId"),
            name: text("name"),
            kind: span["kind"].as_i64().expect("a kind"),
            status: span["status"]["code"].as_i64().unwrap_or(0),
            began: nanos("startTimeUnixNano"),
            ended: nanos("endTimeUnixNano"),
            attributes: attributes(&span["attributes"]),
            resource: resource.clone(),
        }
    }
}

fn attributes(list: &Value) -> BTreeMap<String, String> {
    let read = |pair: &Value| {
        let value = pair["value"].as_object()?.values().next()?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((pair["key"].as_str()?.to_owned(), text))
    };
    list.as_array().into_iter().flatten().filter_map(read).collect()
}

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
