//! Events as messages: the binary mode of the Kafka protocol binding for CloudEvents 1.0.2.
//!
//! The attributes are headers `ce_NAME`, the value is the data, the key is the subject. A message in
//! structured mode (`content-type: application/cloudevents+json`) is read as well.

use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use troupe_kernel::{Event, Failure};

const CONTENT_TYPE: &str = "content-type";
const STRUCTURED: &str = "application/cloudevents";
const HEADERS: usize = 9;

/// An event as a message.
pub(super) struct Encoded {
    pub(super) headers: OwnedHeaders,
    pub(super) payload: Vec<u8>,
}

pub(super) fn encode(event: &Event) -> Encoded {
    let mut headers = OwnedHeaders::new_with_capacity(HEADERS);
    let mut add = |key: &str, value: &str| {
        let all = std::mem::take(&mut headers);
        headers = all.insert(Header { key, value: Some(value) });
    };
    add(CONTENT_TYPE, "application/json");
    add("ce_specversion", "1.0");
    add("ce_id", &event.id.to_string());
    add("ce_type", &event.kind);
    add("ce_source", &event.source);
    add("ce_subject", &event.subject);
    add("ce_time", &event.time.to_string());
    add("ce_troupeschema", &event.schema_version.to_string());
    if let Some(tenant) = event.tenant {
        add("ce_troupetenant", &tenant.to_string());
    }
    if let Some(trace) = &event.trace {
        add("ce_traceparent", trace);
    }
    Encoded { headers, payload: event.data.to_string().into_bytes() }
}

/// Reads an event from a message.
///
/// # Errors
/// `events.kafka.malformed`: it is no CloudEvent, or one without what an event here must have.
pub(super) fn decode(message: &impl Message) -> Result<Event, Failure> {
    let payload = message.payload().unwrap_or_default();
    let content_type = header(message, CONTENT_TYPE)?.unwrap_or_default();
    if content_type.starts_with(STRUCTURED) {
        return serde_json::from_slice(payload).map_err(|error| malformed(&error.to_string()));
    }
    let needed = |name: &str| -> Result<&str, Failure> {
        header(message, name)?.ok_or_else(|| malformed(&format!("it has no header {name}")))
    };
    if needed("ce_specversion")? != "1.0" {
        return Err(malformed("ce_specversion must be 1.0"));
    }
    let data = match payload {
        [] => serde_json::Value::Null,
        bytes => serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?,
    };
    Ok(Event {
        id: read(needed("ce_id")?, "ce_id")?,
        kind: needed("ce_type")?.to_owned(),
        source: needed("ce_source")?.to_owned(),
        subject: needed("ce_subject")?.to_owned(),
        tenant: header(message, "ce_troupetenant")?
            .map(|text| read(text, "ce_troupetenant"))
            .transpose()?,
        time: read(needed("ce_time")?, "ce_time")?,
        schema_version: header(message, "ce_troupeschema")?
            .map_or(Ok(1), |text| read(text, "ce_troupeschema"))?,
        data,
        trace: header(message, "ce_traceparent")?.map(str::to_owned),
    })
}

/// The last header of this name.
pub(super) fn header<'m>(
    message: &'m impl Message,
    name: &str,
) -> Result<Option<&'m str>, Failure> {
    let Some(headers) = message.headers() else { return Ok(None) };
    let found = headers.iter().filter(|header| header.key == name).last();
    let Some(value) = found.and_then(|header| header.value) else { return Ok(None) };
    let text = std::str::from_utf8(value);
    text.map(Some).map_err(|_| malformed(&format!("its header {name} is not UTF-8")))
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
        let Encoded { headers, payload } = encode(&event);
        assert_eq!(decode(&message(headers, &payload)).unwrap(), event);
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
        let Encoded { headers, .. } = encode(&event());
        assert!(decode(&message(headers, b"{")).is_err(), "data that is no JSON");
    }
}
