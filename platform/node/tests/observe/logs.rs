//! The log of a node, shipped as `ops/loki/collector.yaml` says, by a real collector.
//!
//! What stands in for Loki is the collector of the tests, which takes the same protocol. Loki's own
//! configuration is read as YAML and no more: there is no Loki here.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{eventually, files_of, given, ops};
use crate::data::Directory;
use crate::node::Node;
use crate::people::administrator;

const WITHIN: Duration = Duration::from_secs(60);

/// A collector that ships, until this is dropped.
struct Shipping(Child);

impl Shipping {
    fn start(program: &str, node: &Node, to: &str, directory: &Directory) -> Self {
        let log = std::fs::File::create(directory.join("collector.log")).expect("a log");
        let mut command = Command::new(program);
        command.arg("--config").arg(ops("loki/collector.yaml")).env_clear();
        command.env("TROUPE_LOG_FILES", node.directory().join("node.log"));
        command.env("TROUPE_LOG_POSITIONS", directory.join("positions")).env("LOKI_OTLP", to);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().expect("the collector runs"))
    }
}

impl Drop for Shipping {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn attribute(record: &Value, name: &str) -> Option<String> {
    let pairs = record["attributes"].as_array()?;
    let pair = pairs.iter().find(|pair| pair["key"] == name)?;
    let value = pair["value"].as_object()?.values().next()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[test]
fn a_line_is_shipped_with_its_time_its_level_and_its_trace() {
    let Some(program) = given("TROUPE_TEST_OTLP_COLLECTOR") else { return };
    let (Some(to), Some(traces)) = (given("TROUPE_TEST_OTLP_URL"), given("TROUPE_TEST_OTLP_FILE"))
    else {
        return;
    };
    let node = Node::start();
    let root = administrator(&node);
    let directory = Directory::new();
    let shipping = Shipping::start(&program, &node, &to, &directory);
    let answer = node.web.get("/v1/users/me").token(&root.token).send().expect(200);
    let trace = answer.header("traceparent").expect("the field")[3..35].to_owned();
    let request = answer.header("x-request-id").expect("the field");

    let received = traces.replace("traces.jsonl", "logs.jsonl");
    let record = eventually("the line of the request is shipped", WITHIN, || {
        let text = std::fs::read_to_string(&received).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains(&trace));
        let batches = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        batches.flat_map(|batch| records(&batch)).find(|record| record["traceId"] == trace)
    });
    assert_eq!(record["body"]["stringValue"], "request", "{record}");
    assert_eq!(record["severityText"], "info", "{record}");
    assert_eq!(attribute(&record, "trace_id").as_deref(), Some(trace.as_str()));
    assert_eq!(attribute(&record, "request_id").as_deref(), Some(request));
    assert_eq!(attribute(&record, "status").as_deref(), Some("200"));
    let at: u64 =
        record["timeUnixNano"].as_str().and_then(|text| text.parse().ok()).expect("a time");
    assert!(at > 1_700_000_000_000_000_000, "{at}");
    drop(shipping);
}

fn records(batch: &Value) -> Vec<Value> {
    let resources = batch["resourceLogs"].as_array().into_iter().flatten();
    let scopes = resources.flat_map(|each| each["scopeLogs"].as_array().into_iter().flatten());
    scopes.flat_map(|each| each["logRecords"].as_array().cloned().unwrap_or_default()).collect()
}

#[test]
fn the_files_for_loki_are_yaml() {
    for file in files_of("loki", ".yaml") {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let read: Value = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(read.is_object(), "{}", file.display());
    }
}
