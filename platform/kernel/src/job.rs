//! Jobs: work that is done later, once, with retries; a row in the transaction of its cause.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;

/// Attempts a job has unless it says otherwise.
pub const ATTEMPTS_MAX_DEFAULT: u16 = 10;

/// One piece of work to be done later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Which handler does it: `owner.verb`, for example `blog.publish`.
    pub kind: String,
    /// What the handler needs to know.
    pub payload: Value,
    /// The queue, a bulkhead of its own; `default` unless said otherwise.
    pub queue: String,
    /// At most one job of a key runs at a time.
    pub key: Option<String>,
    /// Not before this time.
    pub run_at: Option<Timestamp>,
    /// After so many failed attempts it is dead and waits for a person.
    pub attempts_max: u16,
    /// While a job with the same value waits or runs, a second is not added.
    pub unique: Option<String>,
}

impl Job {
    /// A job of `kind` that may run at once.
    ///
    /// # Panics
    /// When the payload cannot be JSON (a map whose keys are not strings): a defect of its type.
    #[must_use]
    pub fn new(kind: impl Into<String>, payload: &impl Serialize) -> Self {
        Self {
            kind: kind.into(),
            payload: serde_json::to_value(payload).expect("a payload is representable as JSON"),
            queue: "default".to_owned(),
            key: None,
            run_at: None,
            attempts_max: ATTEMPTS_MAX_DEFAULT,
            unique: None,
        }
    }

    /// Puts it into another queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = queue.into();
        self
    }

    /// Runs it alone among the jobs of this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Runs it at this time or later.
    #[must_use]
    pub fn delay_until(mut self, time: Timestamp) -> Self {
        self.run_at = Some(time);
        self
    }

    /// Limits the attempts; at least one.
    #[must_use]
    pub fn attempts_max(mut self, attempts: u16) -> Self {
        self.attempts_max = attempts.max(1);
        self
    }

    /// Adds it only when no job with the same value waits or runs.
    #[must_use]
    pub fn unique(mut self, value: impl Into<String>) -> Self {
        self.unique = Some(value.into());
        self
    }
}
