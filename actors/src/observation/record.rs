//! Records of handled messages in a bounded ring.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How handling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The handler returned.
    Done,
    /// The handler answered a failure.
    Failed,
    /// The handler panicked.
    Crashed,
    /// The deadline had passed before the message's turn.
    Expired,
}

/// One handled message. Times are nanoseconds of the process's clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Number of the record on this node, rising.
    pub number: u64,
    /// The actor that handled it.
    pub to: Arc<str>,
    /// Its incarnation.
    pub incarnation: u32,
    /// Id of the sending actor; zero for a sender outside the system.
    pub from: u32,
    /// The protocol.
    pub protocol: Cow<'static, str>,
    /// The variant.
    pub kind: Cow<'static, str>,
    /// Place in the order in which its incarnation handled messages.
    pub sequence: u64,
    /// The trace (W3C trace context, 16 bytes).
    pub trace: Option<u128>,
    /// Whether the sender waited for an answer.
    pub asked: bool,
    /// When it entered the mailbox; zero if it was not timed.
    pub sent_nanos: u64,
    /// When its handling began.
    pub began_nanos: u64,
    /// When its handling ended.
    pub ended_nanos: u64,
    /// How handling ended.
    pub outcome: Outcome,
    /// The message as redacted JSON; only under a tap that asks for it.
    pub payload: Option<String>,
    /// Whether the payload was cut.
    pub truncated: bool,
}

/// The last items, oldest first; an older one gives way to a newer.
pub(crate) struct Ring<T> {
    inner: Mutex<Inner<T>>,
    capacity: usize,
}

struct Inner<T> {
    items: VecDeque<T>,
    pushed: u64,
}

impl<T: Clone> Ring<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { inner: Mutex::new(Inner { items: VecDeque::new(), pushed: 0 }), capacity }
    }

    /// Adds what `make` builds from its number.
    pub(crate) fn push(&self, make: impl FnOnce(u64) -> T) -> u64 {
        let mut inner = self.inner.lock();
        inner.pushed += 1;
        let item = make(inner.pushed);
        if inner.items.len() == self.capacity {
            inner.items.pop_front();
        }
        if self.capacity > 0 {
            inner.items.push_back(item);
        }
        inner.pushed
    }

    /// Changes the newest item that `matches`.
    pub(crate) fn amend(&self, matches: impl Fn(&T) -> bool, change: impl FnOnce(&mut T)) {
        let mut inner = self.inner.lock();
        if let Some(item) = inner.items.iter_mut().rev().find(|item| matches(item)) {
            change(item);
        }
    }

    /// The newest `count` items, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<T> {
        self.inner.lock().items.iter().rev().take(count).cloned().collect()
    }

    /// How many were ever added.
    pub(crate) fn pushed(&self) -> u64 {
        self.inner.lock().pushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_the_newest_and_counts_all() {
        let ring = Ring::new(2);
        for _ in 0..5 {
            ring.push(|number| number);
        }
        assert_eq!(ring.newest(10), [5, 4]);
        assert_eq!(ring.pushed(), 5);
    }
}
