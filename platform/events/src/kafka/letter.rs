//! A message of a group in the hands of a node.

use std::time::Duration;

use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use serde::{Deserialize, Serialize};
use troupe_kernel::{Failure, Timestamp};

use super::headers::Kept;
use super::publisher::Record;

/// Headers of our own begin so. They say what became of an event on its way.
const OWN: &str = "troupe_";
const ATTEMPTS: &str = "troupe_attempts";
const RETRIES: &str = "troupe_retries";
const DUE: &str = "troupe_due_ms";
const TOPIC: &str = "troupe_topic";
const PARTITION: &str = "troupe_partition";
const OFFSET: &str = "troupe_offset";
const CAUSE_CODE: &str = "troupe_cause_code";
const CAUSE: &str = "troupe_cause";
const FAILED_AT: &str = "troupe_failed_at";
/// A longer cause is cut.
const CAUSE_CHARS_MAX: usize = 1_000;

/// A message with everything that must be kept of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    key: Vec<u8>,
    headers: Kept,
    payload: Vec<u8>,
    time_ms: i64,
    /// Deliveries that failed before it came here.
    pub(super) attempts: u32,
    /// How often it was in the retry topic.
    pub(super) retries: u32,
    due_ms: i64,
}

/// Why a message leaves its place in the order.
pub(super) struct Cause<'a> {
    pub(super) failure: &'a Failure,
    pub(super) attempts: u32,
    pub(super) at: Timestamp,
}

impl Letter {
    pub(super) fn of(message: &impl Message) -> Self {
        let copied = |bytes: &[u8]| bytes.to_vec();
        let mut headers = Kept::default();
        let (mut attempts, mut retries, mut due_ms) = (0, 0, 0);
        for Header { key, value } in message.headers().into_iter().flat_map(Headers::iter) {
            headers.add(key, value);
            match key {
                ATTEMPTS => attempts = number(value),
                RETRIES => retries = number(value),
                DUE => due_ms = number(value),
                _ => {}
            }
        }
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map_or_else(Vec::new, copied),
            payload: message.payload().map_or_else(Vec::new, copied),
            time_ms: message.timestamp().to_millis().unwrap_or(0),
            attempts,
            retries,
            due_ms,
            headers,
        }
    }

    /// How long it must wait still.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        let wait_ms = self.due_ms.saturating_sub(now.as_micros().div_euclid(1_000));
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
    }

    /// The same message for the retry topic, due after a wait.
    pub(super) fn retried(&self, topic: String, cause: &Cause<'_>, wait: Duration) -> Record<'_> {
        let due = cause.at.plus(wait).as_micros().div_euclid(1_000);
        let extra = [(RETRIES, (self.retries + 1).to_string()), (DUE, due.to_string())];
        self.moved(topic, cause, extra.into_iter())
    }

    /// The same message for the dead-letter topic.
    pub(super) fn buried(&self, topic: String, cause: &Cause<'_>) -> Record<'_> {
        self.moved(topic, cause, [(RETRIES, self.retries.to_string())].into_iter())
    }

    fn moved(
        &self,
        topic: String,
        cause: &Cause<'_>,
        extra: impl Iterator<Item = (&'static str, String)>,
    ) -> Record<'_> {
        let mut headers = OwnedHeaders::new();
        for (key, value) in self.headers.iter().filter(|(key, _)| !key.starts_with(OWN)) {
            headers = headers.insert(Header { key, value });
        }
        let detail: String = cause.failure.detail().chars().take(CAUSE_CHARS_MAX).collect();
        let own = [
            (ATTEMPTS, cause.attempts.to_string()),
            (TOPIC, self.kept(TOPIC).unwrap_or_else(|| self.topic.clone())),
            (PARTITION, self.kept(PARTITION).unwrap_or_else(|| self.partition.to_string())),
            (OFFSET, self.kept(OFFSET).unwrap_or_else(|| self.offset.to_string())),
            (CAUSE_CODE, cause.failure.code().to_owned()),
            (CAUSE, detail),
            (FAILED_AT, cause.at.to_string()),
        ];
        for (key, value) in own.iter().map(|(key, value)| (*key, value.as_str())) {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        for (key, value) in extra {
            headers = headers.insert(Header { key, value: Some(value.as_str()) });
        }
        Record {
            topic: topic.into(),
            key: &self.key,
            headers,
            payload: self.payload.as_slice().into(),
            time_ms: self.time_ms,
        }
    }

    /// A header of an earlier move, which says where the message was at first.
    fn kept(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(key, _)| *key == name)?;
        String::from_utf8(value?.to_vec()).ok()
    }
}

/// A number in a header of our own; 0 when it is none.
fn number<T: std::str::FromStr + Default>(value: Option<&[u8]>) -> T {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}
