//! Timings by kind of message: how long it waited and how long it was handled.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// One bucket for each power of two of nanoseconds.
const BUCKETS: usize = 48;

#[derive(Clone)]
struct Histogram {
    buckets: [u32; BUCKETS],
    count: u64,
    max_nanos: u64,
}

impl Histogram {
    fn new() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, max_nanos: 0 }
    }

    fn add(&mut self, nanos: u64) {
        let bucket = (64 - nanos.leading_zeros() as usize).min(BUCKETS - 1);
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
        self.count += 1;
        self.max_nanos = self.max_nanos.max(nanos);
    }

    /// Upper bound of the bucket in which the quantile lies, never above the maximum.
    fn quantile(&self, quantile: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank within a count"
        )]
        let rank = (self.count as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank && seen > 0 {
                return (1u64 << bucket).min(self.max_nanos);
            }
        }
        self.max_nanos
    }

    fn summary(&self) -> Latency {
        Latency {
            count: self.count,
            p50_nanos: self.quantile(0.5),
            p99_nanos: self.quantile(0.99),
            max_nanos: self.max_nanos,
        }
    }
}

/// A distribution of durations in nanoseconds; quantiles are exact to a factor of two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Number of timed messages.
    pub count: u64,
    /// Half were at most this long.
    pub p50_nanos: u64,
    /// All but one in a hundred were at most this long.
    pub p99_nanos: u64,
    /// The longest.
    pub max_nanos: u64,
}

/// Timings of one kind of message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSummary {
    /// The protocol.
    pub protocol: String,
    /// The variant.
    pub kind: String,
    /// Time in the mailbox.
    pub wait: Latency,
    /// Time in the handler.
    pub handling: Latency,
}

type Timings = HashMap<(&'static str, &'static str), (Histogram, Histogram), RandomState>;

/// Wait and handling times for each kind of message, of the messages that were timed.
#[derive(Default)]
pub(crate) struct KindTable {
    timings: Mutex<Timings>,
}

impl KindTable {
    pub(crate) fn add(
        &self,
        protocol: &'static str,
        kind: &'static str,
        (wait_nanos, handling_nanos): (u64, u64),
    ) {
        let mut timings = self.timings.lock();
        let (wait, handling) =
            timings.entry((protocol, kind)).or_insert_with(|| (Histogram::new(), Histogram::new()));
        wait.add(wait_nanos);
        handling.add(handling_nanos);
    }

    pub(crate) fn summary(&self) -> Vec<KindSummary> {
        let timings = self.timings.lock();
        let mut kinds: Vec<_> = timings
            .iter()
            .map(|((protocol, kind), (wait, handling))| KindSummary {
                protocol: (*protocol).to_owned(),
                kind: (*kind).to_owned(),
                wait: wait.summary(),
                handling: handling.summary(),
            })
            .collect();
        kinds.sort_by(|a, b| (&a.protocol, &a.kind).cmp(&(&b.protocol, &b.kind)));
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_bound_the_values_within_a_factor_of_two() {
        let table = KindTable::default();
        for nanos in 1..=1000 {
            table.add("p", "k", (nanos, nanos * 10));
        }
        let summary = &table.summary()[0];
        assert_eq!(summary.wait.count, 1000);
        assert!((500..=1000).contains(&summary.wait.p50_nanos));
        assert_eq!(summary.wait.max_nanos, 1000);
        assert!(summary.handling.p99_nanos >= 9_900);
    }
}
