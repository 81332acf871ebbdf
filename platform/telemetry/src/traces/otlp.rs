//! Spans as OTLP writes them: `ExportTraceServiceRequest` of opentelemetry-proto 1.x, in Protocol
//! Buffers. Field numbers are those of `trace.proto`, `resource.proto` and `common.proto`.

use troupe_actors::{Moment, Span, SpanKind, SpanValue};
use troupe_kernel::clock::Timestamp;

use super::protobuf::Message;

/// Who sends: attributes of all spans.
#[derive(Debug, Clone, Default)]
pub(super) struct Sender(pub(super) Vec<(&'static str, String)>);

/// The name under which all our spans are made.
const SCOPE: &str = "troupe";

/// The moment that spans are counted from, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    pub(super) moment: Moment,
    pub(super) time: Timestamp,
}

impl Anchor {
    /// Nanoseconds since 1970.
    fn unix_nanos(&self, moment: Moment) -> u64 {
        let now = u64::try_from(self.time.as_micros()).unwrap_or(0).saturating_mul(1_000);
        // Never later than now: a span is sent when it has ended.
        let ago = u64::try_from(self.moment.since(moment).as_nanos()).unwrap_or(u64::MAX);
        now.saturating_sub(ago)
    }
}

/// The body of one request.
pub(super) fn encode(spans: &[Span], sender: &Sender, anchor: Anchor) -> Vec<u8> {
    let attributes = sender.0.iter().map(|(name, value)| attribute(name, text(value)));
    let resource = Message::default().messages(1, attributes);
    let scope = Message::default().bytes(1, SCOPE.as_bytes());
    let spans = spans.iter().map(|each| span(each, anchor));
    let scope_spans = Message::default().message(1, &scope).messages(2, spans);
    let resource_spans = Message::default().message(1, &resource).message(2, &scope_spans);
    Message::default().message(1, &resource_spans).into_bytes()
}

fn span(span: &Span, anchor: Anchor) -> Message {
    let mut message =
        Message::default().bytes(1, &span.trace.to_be_bytes()).bytes(2, &span.id.to_be_bytes());
    if span.parent != 0 {
        message = message.bytes(4, &span.parent.to_be_bytes());
    }
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
    };
    let attributes = span.attributes.iter().map(|(name, value)| {
        attribute(
            name,
            match value {
                SpanValue::Text(value) => text(value),
                SpanValue::Number(value) => Message::default().given_number(3, *value),
            },
        )
    });
    let message = message
        .bytes(5, span.name.as_bytes())
        .number(6, kind)
        .fixed64(7, anchor.unix_nanos(span.began))
        .fixed64(8, anchor.unix_nanos(span.ended))
        .messages(9, attributes);
    match &span.failure {
        None => message,
        // STATUS_CODE_ERROR, with the code as its message.
        Some(code) => {
            message.message(15, &Message::default().bytes(2, code.as_bytes()).number(3, 2))
        }
    }
}

/// `KeyValue`.
fn attribute(name: &str, value: Message) -> Message {
    Message::default().bytes(1, name.as_bytes()).message(2, &value)
}

/// `AnyValue` of a string.
fn text(value: &str) -> Message {
    Message::default().bytes(1, value.as_bytes())
}
