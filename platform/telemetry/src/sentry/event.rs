//! An error report as an event in an envelope.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use troupe_kernel::Uuid;

use super::scrub;
use crate::errors::ErrorReport;

/// Fields whose text is the cause of the error.
const CAUSES: [&str; 5] = ["failure", "error", "cause", "reason", "detail"];
/// Fields that have a place of their own in an event.
const PLACED: [&str; 6] = ["code", "actor", "request", "trace", "tenant", "location"];
/// What calls itself a crash.
const CRASH: &str = "reason";

/// What all events of a node say.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) environment: String,
    pub(super) release: String,
    pub(super) node: String,
    pub(super) version: String,
}

/// The envelope of one event: a header, the item's header with its length, and the item, a line each.
pub(super) fn envelope(report: &ErrorReport, sender: &Sender, id: Uuid) -> String {
    let event_id = id.simple().to_string();
    let event = event(report, sender, &event_id).to_string();
    let sdk = json!({ "name": "troupe", "version": sender.version });
    let header = json!({ "event_id": event_id, "sent_at": report.time.to_string(), "sdk": sdk });
    let item =
        json!({ "type": "event", "content_type": "application/json", "length": event.len() });
    let mut envelope = String::with_capacity(event.len() + 256);
    // Writing to a string does not fail.
    let written = write!(envelope, "{header}\n{item}\n{event}\n");
    debug_assert!(written.is_ok());
    envelope
}

fn event(report: &ErrorReport, sender: &Sender, event_id: &str) -> Value {
    let code = text_of(report, "code");
    let mut event = json!({
        "event_id": event_id,
        "timestamp": report.time.to_string(),
        "level": if report.fields.contains_key(CRASH) { "fatal" } else { "error" },
        "platform": "other",
        "logger": report.target,
        "server_name": sender.node,
        "release": sender.release,
        "environment": sender.environment,
        "fingerprint": [report.target, code.clone().unwrap_or_else(|| scrub::text(&report.message))],
        "exception": { "values": exceptions(report, code.as_deref()) },
        "tags": tags(report, code.as_deref()),
        "extra": extra(report),
    });
    let trace = report.trace.clone().or_else(|| text_of(report, "trace"));
    if let (Some(trace), Some(fields)) = (trace, event.as_object_mut()) {
        // The span is not known; the one that begins the trace is as good as any.
        let span = trace.get(16..).unwrap_or("0000000000000001").to_owned();
        let trace = json!({ "trace_id": trace, "span_id": span });
        fields.insert("contexts".to_owned(), json!({ "trace": trace }));
    }
    event
}

/// The chain, its first cause first.
fn exceptions(report: &ErrorReport, code: Option<&str>) -> Vec<Value> {
    let mut chain = Vec::new();
    for name in CAUSES {
        if let Some(text) = text_of(report, name) {
            chain.push(json!({ "type": code.unwrap_or(name), "value": text }));
        }
    }
    let crashed = report.fields.contains_key(CRASH);
    let location = text_of(report, "location").or_else(|| report.place.clone());
    let mut last = json!({
        "type": if crashed { "Panic" } else { code.unwrap_or("Error") },
        "value": scrub::text(&report.message),
        "module": report.target,
        "mechanism": { "type": "log", "handled": !crashed },
    });
    if let Some((frame, fields)) = location.as_deref().and_then(frame).zip(last.as_object_mut()) {
        fields.insert("stacktrace".to_owned(), json!({ "frames": [frame] }));
    }
    chain.push(last);
    chain
}

/// `FILE:LINE`, perhaps with a column.
fn frame(location: &str) -> Option<Value> {
    let mut parts = location.split(':');
    let (file, line) = (parts.next()?, parts.next()?.parse::<u32>().ok()?);
    Some(json!({ "filename": file, "lineno": line, "in_app": true }))
}

fn tags(report: &ErrorReport, code: Option<&str>) -> Map<String, Value> {
    let mut tags = Map::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            tags.insert(name.to_owned(), Value::String(value));
        }
    };
    add("code", code.map(str::to_owned));
    add("actor", text_of(report, "actor"));
    let request = report.request.map(|id| id.to_string());
    add("request", request.or_else(|| text_of(report, "request")));
    let tenant = report.tenant.map(|id| id.to_string());
    add("tenant", tenant.or_else(|| text_of(report, "tenant")));
    tags
}

fn extra(report: &ErrorReport) -> Map<String, Value> {
    let mut extra = Map::new();
    for (name, value) in &report.fields {
        if !PLACED.contains(&name.as_str()) && !CAUSES.contains(&name.as_str()) {
            extra.insert(name.clone(), scrub::value(name, value));
        }
    }
    if report.repetitions > 0 {
        extra.insert("repetitions".to_owned(), report.repetitions.into());
    }
    extra
}

fn text_of(report: &ErrorReport, name: &str) -> Option<String> {
    report.fields.get(name).and_then(Value::as_str).map(scrub::text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use troupe_kernel::Timestamp;

    use super::*;

    fn report(fields: &[(&str, &str)]) -> ErrorReport {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
        ErrorReport {
            fingerprint: 1,
            time: Timestamp::EPOCH,
            target: "troupe_actors::host".to_owned(),
            place: Some("actors/src/host.rs:367".to_owned()),
            message: "an actor crashed".to_owned(),
            fields: fields.collect::<BTreeMap<_, _>>(),
            request: None,
            trace: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            tenant: None,
            repetitions: 3,
        }
    }

    fn event_of(report: &ErrorReport) -> Value {
        let sender = Sender {
            environment: "test".to_owned(),
            release: "troupe@1".to_owned(),
            node: "lab".to_owned(),
            version: "1".to_owned(),
        };
        let text = envelope(report, &sender, Uuid::from_u128(7));
        let lines: Vec<&str> = text.lines().collect();
        let item: Value = serde_json::from_str(lines[1]).unwrap();
        assert_eq!(item["length"], lines[2].len());
        assert_eq!(lines.len(), 3);
        serde_json::from_str(lines[2]).unwrap()
    }

    #[test]
    fn the_crash_of_an_actor_says_where_and_why() {
        let event = event_of(&report(&[
            ("actor", "/lab/platform/blog/posts"),
            ("reason", "index out of bounds for Bearer s3cret"),
            ("location", "domains/blog/src/service.rs:70:9"),
            ("kind", "CreatePost"),
            ("session_token", "abc"),
        ]));
        assert_eq!(event["level"], "fatal");
        let values = event["exception"]["values"].as_array().unwrap();
        assert_eq!(values[0]["value"], "index out of bounds for Bearer [redacted]");
        assert_eq!(values[1]["type"], "Panic");
        assert_eq!(values[1]["mechanism"]["handled"], false);
        let frame = &values[1]["stacktrace"]["frames"][0];
        assert_eq!(frame["filename"], "domains/blog/src/service.rs");
        assert_eq!(frame["lineno"], 70);
        assert_eq!(event["tags"]["actor"], "/lab/platform/blog/posts");
        assert_eq!(event["extra"]["kind"], "CreatePost");
        assert_eq!(event["extra"]["session_token"], scrub::MASK);
        assert_eq!(event["extra"]["repetitions"], 3);
        let trace = &event["contexts"]["trace"];
        assert_eq!(trace["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_chain_of_errors_begins_with_its_cause() {
        let event = event_of(&report(&[("code", "database.failed"), ("cause", "no such table")]));
        let values = event["exception"]["values"].as_array().unwrap();
        let texts: Vec<&Value> = values.iter().map(|value| &value["value"]).collect();
        assert_eq!(texts, ["no such table", "an actor crashed"]);
        assert_eq!(event["level"], "error");
        assert_eq!(event["fingerprint"][1], "database.failed");
    }
}
