//! The OpenTelemetry collector of the tests, and the spans that it wrote down.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{eventually, given};
use crate::node::Node;

pub const WITHIN: Duration = Duration::from_secs(60);

/// The collector of the tests, which writes down what it gets.
pub struct Collector {
    url: String,
    file: String,
}

/// A span as a collector has it.
#[derive(Debug, Clone)]
pub struct Span {
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: i64,
    pub status: i64,
    pub began: u64,
    pub ended: u64,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

impl Collector {
    /// None where there is none.
    pub fn here() -> Option<Self> {
        let url = given("TROUPE_TEST_OTLP_URL")?;
        Some(Self { url, file: given("TROUPE_TEST_OTLP_FILE")? })
    }

    /// A node whose spans come here.
    pub fn node(&self, settings: &[&str]) -> Node {
        let url = format!("traces.url={}", self.url);
        let mut all = vec![url.as_str(), "traces.every=50ms", "node.name=lab"];
        all.extend(settings);
        Node::with(&all)
    }

    /// The spans of a trace that came so far.
    pub fn spans(&self, trace: &str) -> Vec<Span> {
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
    pub fn wait(&self, trace: &str, name: &str) -> Vec<Span> {
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

    /// The node that made it.
    pub fn node(&self) -> &str {
        &self.resource["service.instance.id"]
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
