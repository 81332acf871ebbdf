//! Events: what happened, in past tense, as CloudEvents 1.0 in structured JSON form.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids::TenantId;

/// One thing that happened. Written to the outbox in the transaction of its cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Which event; consumers drop a second delivery by it. Nil until the unit of work sets it.
    pub id: Uuid,
    /// What happened: `owner.thing.done`, for example `blog.post.published`. CloudEvents `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who says so: `/troupe/OWNER`.
    pub source: String,
    /// The aggregate it happened to; events of one subject keep their order.
    pub subject: String,
    /// The tenant it belongs to.
    #[serde(default, rename = "troupetenant", skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// When it happened. The epoch until the unit of work sets it.
    pub time: Timestamp,
    /// Version of the schema of `data`.
    #[serde(rename = "troupeschema")]
    pub schema_version: u16,
    /// What is known about it.
    pub data: Value,
    /// W3C `traceparent` of its cause.
    #[serde(default, rename = "traceparent", skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl Event {
    /// An event of `kind` about `subject`. Id, time, tenant and trace are filled in by the unit of
    /// work from its scope and clock.
    ///
    /// # Panics
    /// When `data` cannot be JSON (a map whose keys are not strings): a defect of its type.
    #[must_use]
    pub fn new(
        kind: impl Into<String>,
        subject: impl std::fmt::Display,
        data: &impl Serialize,
    ) -> Self {
        let kind = kind.into();
        let owner = kind.split('.').next().unwrap_or_default();
        Self {
            id: Uuid::nil(),
            source: format!("/troupe/{owner}"),
            subject: subject.to_string(),
            tenant: None,
            time: Timestamp::EPOCH,
            schema_version: 1,
            data: serde_json::to_value(data).expect("event data is representable as JSON"),
            trace: None,
            kind,
        }
    }

    /// Sets the tenant, for an event about another tenant than the scope's.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Sets the version of the schema of `data`; it starts at 1.
    #[must_use]
    pub fn schema_version(mut self, version: u16) -> Self {
        self.schema_version = version;
        self
    }

    /// The data as a type.
    ///
    /// # Errors
    /// When the data has another shape, which a consumer should treat as a poisoned event.
    pub fn data<T: serde::de::DeserializeOwned>(&self) -> Result<T, crate::Failure> {
        T::deserialize(&self.data).map_err(|error| {
            crate::Failure::invalid(
                "kernel.event.data",
                format!("the data of a {} event has another shape: {error}", self.kind),
            )
        })
    }
}

/// Whether an event kind matches a subscription pattern: segments separated by dots, `*` for one
/// segment, or for all that remain when it comes last.
#[must_use]
pub fn matches(pattern: &str, kind: &str) -> bool {
    let mut pattern = pattern.split('.').peekable();
    let mut kind = kind.split('.');
    while let Some(expected) = pattern.next() {
        let Some(actual) = kind.next() else { return false };
        if expected == "*" && pattern.peek().is_none() {
            return true;
        }
        if expected != "*" && expected != actual {
            return false;
        }
    }
    kind.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_by_segment() {
        for (pattern, kind, expected) in [
            ("blog.post.published", "blog.post.published", true),
            ("blog.post.*", "blog.post.published", true),
            ("blog.*", "blog.post.published", true),
            ("*", "blog.post.published", true),
            ("blog.*.published", "blog.post.published", true),
            ("blog.post.*", "blog.comment.added", false),
            ("blog.post", "blog.post.published", false),
            ("blog.post.published.*", "blog.post.published", false),
            ("blo*", "blog.post.published", false),
        ] {
            assert_eq!(matches(pattern, kind), expected, "{pattern} on {kind}");
        }
    }

    #[test]
    fn an_event_is_a_cloud_event_in_json() {
        let event = Event::new("blog.post.published", "p1", &serde_json::json!({"title": "A"}));
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["type"], "blog.post.published");
        assert_eq!(json["source"], "/troupe/blog");
        assert_eq!(json["data"]["title"], "A");
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
