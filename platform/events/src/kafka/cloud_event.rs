//! Events as messages: the binary mode of the Kafka protocol binding for CloudEvents 1.0.2.
//!
//! The attributes are headers `ce_NAME`, the value is the data, the key is the subject. A message in
//! structured mode (`content-type: application/cloudevents+json`) is read as well.

use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use troupe_kernel::{Event, Failure};

const CONTENT_TYPE: &str = "content-type";
const STRUCTURED: &str = "application/cloudevents";
const HEADERS: usize = 9;
const VERSION: &str = "ce_specversion";
const ID: &str = "ce_id";
const TYPE: &str = "ce_type";
const SOURCE: &str = "ce_source";
const SUBJECT: &str = "ce_subject";
const TENANT: &str = "ce_troupetenant";
const TIME: &str = "ce_time";
const SCHEMA: &str = "ce_troupeschema";
const TRACE: &str = "ce_traceparent";

/// The attributes of an event; the value of its message is the data.
pub(super) fn headers(event: &Event) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(HEADERS);
    let mut add = |key: &str, value: &str| {
        let all = std::mem::take(&mut headers);
        headers = all.insert(Header { key, value: Some(value) });
    };
    add(CONTENT_TYPE, "application/json");
    add(VERSION, "1.0");
    add(ID, &event.id.to_string());
    add(TYPE, &event.kind);
    add(SOURCE, &event.source);
    add(SUBJECT, &event.subject);
    add(TIME, &event.time.to_string());
    add(SCHEMA, &event.schema_version.to_string());
    if let Some(tenant) = event.tenant {
        add(TENANT, &tenant.to_string());
    }
    if let Some(trace) = &event.trace {
        add(TRACE, trace);
    }
    headers
}

/// Reads an event from a message.
///
/// # Errors
/// `events.kafka.malformed`: it is no CloudEvent, or one without what an event here must have.
pub(super) fn decode(message: &impl Message) -> Result<Event, Failure> {
    let payload = message.payload().unwrap_or_default();
    let found = Attributes::of(message)?;
    if found.content_type.is_some_and(|text| text.starts_with(STRUCTURED)) {
        return serde_json::from_slice(payload).map_err(|error| malformed(&error.to_string()));
    }
    if found.version.ok_or_else(|| lacking(VERSION))? != "1.0" {
        return Err(malformed("ce_specversion must be 1.0"));
    }
    let data = match payload {
        [] => serde_json::Value::Null,
        bytes => serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?,
    };
    Ok(Event {
        id: read(found.id.ok_or_else(|| lacking(ID))?, ID)?,
        kind: found.kind.ok_or_else(|| lacking(TYPE))?.to_owned(),
        source: found.source.ok_or_else(|| lacking(SOURCE))?.to_owned(),
        subject: found.subject.ok_or_else(|| lacking(SUBJECT))?.to_owned(),
        tenant: found.tenant.map(|text| read(text, TENANT)).transpose()?,
        time: read(found.time.ok_or_else(|| lacking(TIME))?, TIME)?,
        schema_version: found.schema.map_or(Ok(1), |text| read(text, SCHEMA))?,
        data,
        trace: found.trace.map(str::to_owned),
    })
}

/// The headers of an event, each the last of its name.
#[derive(Default)]
struct Attributes<'m> {
    content_type: Option<&'m str>,
    version: Option<&'m str>,
    id: Option<&'m str>,
    kind: Option<&'m str>,
    source: Option<&'m str>,
    subject: Option<&'m str>,
    tenant: Option<&'m str>,
    time: Option<&'m str>,
    schema: Option<&'m str>,
    trace: Option<&'m str>,
}

impl<'m> Attributes<'m> {
    /// Reads them in one pass: most messages have all.
    fn of(message: &'m impl Message) -> Result<Self, Failure> {
        let mut found = Self::default();
        for Header { key, value } in message.headers().into_iter().flat_map(Headers::iter) {
            let place = match key {
                CONTENT_TYPE => &mut found.content_type,
                VERSION => &mut found.version,
                ID => &mut found.id,
                TYPE => &mut found.kind,
                SOURCE => &mut found.source,
                SUBJECT => &mut found.subject,
                TENANT => &mut found.tenant,
                TIME => &mut found.time,
                SCHEMA => &mut found.schema,
                TRACE => &mut found.trace,
                _ => continue,
            };
            *place = value
                .map(std::str::from_utf8)
                .transpose()
                .map_err(|_| malformed(&format!("its header {key} is not UTF-8")))?;
        }
        Ok(found)
    }
}

fn lacking(name: &str) -> Failure {
    malformed(&format!("it has no header {name}"))
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: &str,
    name: &str,
) -> Result<T, Failure> {
    text.parse().map_err(|error| malformed(&format!("its header {name} is {error}")))
}

fn malformed(detail: &str) -> Failure {
    Failure::invalid(
        "events.kafka.malformed",
        format!("the message is no event of this platform: {detail}"),
    )
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;
    use troupe_kernel::{TenantId, Uuid};

    use super::*;

    fn message(headers: OwnedHeaders, payload: &[u8]) -> OwnedMessage {
        let (key, topic) = (b"p1".to_vec(), "t".to_owned());
        let (payload, headers) = (Some(payload.to_vec()), Some(headers));
        OwnedMessage::new(payload, Some(key), topic, Timestamp::NotAvailable, 0, 0, headers)
    }

    fn event() -> Event {
        let data = serde_json::json!({"title": "A"});
        let mut event = Event::new("blog.post.published", "p1", &data).schema_version(2);
        event.id = Uuid::now_v7();
        event.trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        event.tenant(TenantId::from(Uuid::now_v7()))
    }

    #[test]
    fn an_event_is_the_same_after_its_way_through_a_message() {
        let event = event();
        let data = event.data.to_string();
        assert_eq!(decode(&message(headers(&event), data.as_bytes())).unwrap(), event);
    }

    #[test]
    fn a_message_in_structured_mode_is_read_too() {
        let event = event();
        let text = serde_json::to_vec(&event).unwrap();
        let value = "application/cloudevents+json; charset=utf-8";
        let headers = OwnedHeaders::new().insert(Header { key: CONTENT_TYPE, value: Some(value) });
        assert_eq!(decode(&message(headers, &text)).unwrap(), event);
    }

    #[test]
    fn what_is_no_event_is_refused_with_what_it_lacks() {
        let failure = decode(&message(OwnedHeaders::new(), b"1")).unwrap_err();
        assert_eq!(failure.code(), "events.kafka.malformed");
        assert!(failure.detail().contains("ce_specversion"), "{failure}");
        assert!(decode(&message(headers(&event()), b"{")).is_err(), "data that is no JSON");
    }
}
