//! Taps: a bounded look at the messages of some actors, which ends by itself.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::observation::MessageRecord;
use crate::time::Moment;

/// Taps that may be open at once.
const TAPS_MAX: usize = 4;
/// Records a tap keeps until they are read.
const UNREAD_MAX: usize = 1000;
/// A tap takes at most this many records in a second.
const PER_SECOND_MAX: u32 = 50;
const LIFETIME_MAX: Duration = Duration::from_secs(600);

/// Names a tap.
pub type TapId = u64;

/// Which actors and messages a tap shows. An empty selector is refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TapSelector {
    /// Actors whose path begins with this.
    pub path: Option<String>,
    /// Messages of this protocol.
    pub protocol: Option<String>,
    /// Messages of this variant.
    pub kind: Option<String>,
}

/// How long a tap lasts and what it shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TapLimits {
    /// Ends after this many records.
    pub records: u32,
    /// Ends after this time, at most ten minutes.
    pub lifetime: Duration,
    /// Whether the redacted payload is shown.
    pub payload: bool,
}

impl Default for TapLimits {
    fn default() -> Self {
        Self { records: 100, lifetime: Duration::from_secs(60), payload: false }
    }
}

struct Tap {
    id: TapId,
    selector: TapSelector,
    payload: bool,
    records_left: u32,
    ends_nanos: u64,
    second_began_nanos: u64,
    this_second: u32,
    suppressed: u64,
    unread: VecDeque<MessageRecord>,
}

impl Tap {
    fn matches(&self, path: &str, protocol: &str, kind: &str) -> bool {
        let selector = &self.selector;
        selector.path.as_deref().is_none_or(|prefix| path.starts_with(prefix))
            && selector.protocol.as_deref().is_none_or(|name| name == protocol)
            && selector.kind.as_deref().is_none_or(|name| name == kind)
    }

    fn is_over(&self, now_nanos: u64) -> bool {
        self.records_left == 0 || now_nanos >= self.ends_nanos
    }

    /// Takes a place for one more record, if there is one in this second.
    fn admits(&mut self, now_nanos: u64) -> bool {
        if now_nanos.saturating_sub(self.second_began_nanos) >= 1_000_000_000 {
            self.second_began_nanos = now_nanos;
            self.this_second = 0;
        }
        if self.this_second >= PER_SECOND_MAX || self.unread.len() >= UNREAD_MAX {
            self.suppressed += 1;
            return false;
        }
        self.this_second += 1;
        self.records_left -= 1;
        true
    }
}

/// The taps that have a place for a message, and whether one of them shows payloads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission {
    /// Zero names no tap.
    taps: [TapId; TAPS_MAX],
    pub(crate) payload: bool,
}

/// All open taps.
#[derive(Default)]
pub(crate) struct Taps {
    open: Mutex<Vec<Tap>>,
    next: AtomicU64,
}

impl Taps {
    pub(crate) fn open(&self, selector: TapSelector, limits: &TapLimits) -> Result<TapId, Failure> {
        if selector.path.is_none() && selector.protocol.is_none() && selector.kind.is_none() {
            return Err(Failure::invalid(
                "actors.tap.unselective",
                "a tap needs a path, a protocol or a kind",
            ));
        }
        let now = Moment::now().as_nanos();
        let mut open = self.open.lock();
        open.retain(|tap| !tap.is_over(now) || !tap.unread.is_empty());
        if open.len() >= TAPS_MAX {
            return Err(Failure::conflict(
                "actors.tap.too_many",
                format!("{TAPS_MAX} taps are open; close one first"),
            ));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let lifetime = limits.lifetime.min(LIFETIME_MAX);
        open.push(Tap {
            id,
            selector,
            payload: limits.payload,
            records_left: limits.records,
            ends_nanos: now + u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX / 2),
            second_began_nanos: now,
            this_second: 0,
            suppressed: 0,
            unread: VecDeque::new(),
        });
        Ok(id)
    }

    pub(crate) fn close(&self, id: TapId) {
        self.open.lock().retain(|tap| tap.id != id);
    }

    /// The unread records of a tap, how many were suppressed, and whether it is still open.
    pub(crate) fn read(&self, id: TapId) -> Option<(Vec<MessageRecord>, u64, bool)> {
        let now = Moment::now().as_nanos();
        let mut open = self.open.lock();
        let tap = open.iter_mut().find(|tap| tap.id == id)?;
        Some((tap.unread.drain(..).collect(), tap.suppressed, !tap.is_over(now)))
    }

    /// Whether any open tap may want messages of an actor.
    pub(crate) fn watches(&self, path: &str, protocol: &str) -> bool {
        let open = self.open.lock();
        if open.is_empty() {
            return false;
        }
        let now = Moment::now().as_nanos();
        open.iter().any(|tap| {
            !tap.is_over(now)
                && tap.selector.path.as_deref().is_none_or(|prefix| path.starts_with(prefix))
                && tap.selector.protocol.as_deref().is_none_or(|name| name == protocol)
        })
    }

    /// Takes a place for a message in each tap that wants it; none without one. What is beyond a
    /// tap's rate is counted here, before anything is made of the message.
    pub(crate) fn admit(
        &self,
        now: Moment,
        path: &str,
        protocol: &str,
        kind: &str,
    ) -> Option<Admission> {
        let now = now.as_nanos();
        let mut admission = Admission { taps: [0; TAPS_MAX], payload: false };
        let mut open = self.open.lock();
        for (place, tap) in admission.taps.iter_mut().zip(open.iter_mut()) {
            if !tap.is_over(now) && tap.matches(path, protocol, kind) && tap.admits(now) {
                *place = tap.id;
                admission.payload |= tap.payload;
            }
        }
        admission.taps.iter().any(|tap| *tap != 0).then_some(admission)
    }

    /// Gives the record of a message to the taps that admitted it.
    pub(crate) fn add(&self, admission: Admission, record: &MessageRecord) {
        for tap in self.open.lock().iter_mut().filter(|tap| admission.taps.contains(&tap.id)) {
            let payload = record.payload.clone().filter(|_| tap.payload);
            tap.unread.push_back(MessageRecord { payload, ..record.clone() });
        }
    }
}
