//! What is counted while it runs.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::report::{Errors, Latency, Percentile};

/// One minute, in nanoseconds: longer latencies count as this.
const LATENCY_MAX_NS: u64 = 60_000_000_000;
const LATENCY_MIN_NS: u64 = 1_000;
const DIGITS: u8 = 3;
/// Points of the percentile curve for each halving of the distance to 100 %.
const CURVE_POINTS: u32 = 5;

/// Counts and histograms of the measured requests.
pub(crate) struct Tally {
    all: Histogram<u64>,
    classes: BTreeMap<u16, Histogram<u64>>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) unexpected: u64,
    pub(crate) errors: Errors,
    pub(crate) reopened: u64,
    pub(crate) backlog_max: usize,
    pub(crate) dropped: u64,
    /// Requests that were due.
    pub(crate) due: u64,
    /// When the last answer came, in nanoseconds since the start.
    pub(crate) last_at: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            all: histogram(),
            classes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            unexpected: 0,
            errors: Errors::default(),
            reopened: 0,
            backlog_max: 0,
            dropped: 0,
            due: 0,
            last_at: 0,
        }
    }

    /// An answer came.
    pub(crate) fn answer(&mut self, status: u16, expected: bool, latency_ns: u64) {
        self.all.saturating_record(latency_ns);
        let class = self.classes.entry(status / 100).or_insert_with(histogram);
        class.saturating_record(latency_ns);
        *self.statuses.entry(status).or_default() += 1;
        self.unexpected += u64::from(!expected);
    }

    pub(crate) fn answers(&self) -> u64 {
        self.all.len()
    }

    pub(crate) fn latency(&self) -> Latency {
        summary(&self.all)
    }

    pub(crate) fn latency_by_class(&self) -> BTreeMap<String, Latency> {
        self.classes.iter().map(|(class, all)| (format!("{class}xx"), summary(all))).collect()
    }

    pub(crate) fn curve(&self) -> Vec<Percentile> {
        self.all
            .iter_quantiles(CURVE_POINTS)
            .map(|step| Percentile {
                percentile: step.quantile_iterated_to() * 100.0,
                latency_us: microseconds(step.value_iterated_to()),
            })
            .collect()
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LATENCY_MIN_NS, LATENCY_MAX_NS, DIGITS)
        .expect("the bounds are constant and right")
}

fn summary(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| microseconds(histogram.value_at_quantile(quantile));
    Latency {
        count: histogram.len(),
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        max_us: microseconds(histogram.max()),
        mean_us: histogram.mean() / 1000.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a minute")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}
