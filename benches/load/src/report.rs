//! What a run found, as JSON and as a table.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of a run. Everything but the backlog counts measured requests, not the warm-up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Host and port.
    pub target: String,
    /// `open` or `closed`.
    pub mode: String,
    /// Connections.
    pub connections: usize,
    /// Requests that were due per second; in a closed loop what was sent.
    pub offered_per_second: f64,
    /// Answers per second until the last answer.
    pub achieved_per_second: f64,
    /// From the end of the warm-up to the last answer.
    pub seconds: f64,
    /// Requests that were due.
    pub due: u64,
    /// Answers.
    pub answers: u64,
    /// From the moment a request was due to the end of its answer.
    pub latency: Latency,
    /// The same for each class of statuses: `2xx`.
    pub latency_by_class: BTreeMap<String, Latency>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers with a status that the scenario does not expect.
    pub unexpected: u64,
    /// Requests that got no answer.
    pub errors: Errors,
    /// Connections that were opened again.
    pub reopened: u64,
    /// How the generator fared.
    pub generator: Generator,
    /// Why the figures must not be used.
    pub void: Option<String>,
    /// Latency over percentiles, for plots.
    pub curve: Vec<Percentile>,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Answers.
    pub count: u64,
    /// Median.
    pub p50_us: f64,
    /// 90 %.
    pub p90_us: f64,
    /// 99 %.
    pub p99_us: f64,
    /// 99.9 %.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
    /// The mean.
    pub mean_us: f64,
}

/// A point of the percentile curve.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Percentile {
    /// 0 to 100.
    pub percentile: f64,
    /// At most this long.
    pub latency_us: f64,
}

/// Failures by kind.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Errors {
    /// A connection could not be made; no request is lost by it.
    pub connect: u64,
    /// The connection broke before the answer was whole.
    pub reset: u64,
    /// No whole answer in time, or none before the end.
    pub timeout: u64,
    /// What came was no HTTP, or beyond the limits.
    pub malformed: u64,
}

impl Errors {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.connect + self.reset + self.timeout + self.malformed
    }
}

/// How the generator fared.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Generator {
    /// CPU time of its thread over the time: 1 is a whole core.
    pub use_ratio: f64,
    /// The most requests that were due and not sent.
    pub backlog_max: usize,
    /// Requests that were due while the backlog was full.
    pub dropped: u64,
}

impl Report {
    /// Whether every request got an answer that was expected.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.void.is_none()
            && self.unexpected == 0
            && self.errors.total() == 0
            && self.generator.dropped == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, mode, connections, seconds, answers, .. } = self;
        writeln!(out, "{target}, {mode} loop, {connections} connections, {seconds:.1} s")?;
        writeln!(
            out,
            "rate      offered {:.0}/s, achieved {:.0}/s, {answers} answers",
            self.offered_per_second, self.achieved_per_second
        )?;
        writeln!(
            out,
            "\nlatency       p50       p90       p99     p99.9       max      mean  µs\n{}",
            row("all", &self.latency)
        )?;
        if self.latency_by_class.len() > 1 {
            for (class, latency) in &self.latency_by_class {
                writeln!(out, "{}", row(class, latency))?;
            }
        }
        let statuses: Vec<String> =
            self.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        writeln!(out, "\nstatuses  {}; unexpected {}", statuses.join(", "), self.unexpected)?;
        let Errors { connect, reset, timeout, malformed } = self.errors;
        writeln!(
            out,
            "errors    connect {connect}, reset {reset}, timeout {timeout}, malformed {malformed}; \
             reopened {}",
            self.reopened
        )?;
        let Generator { use_ratio, backlog_max, dropped } = self.generator;
        writeln!(
            out,
            "generator {:.0} % of a core; backlog at most {backlog_max}, dropped {dropped}",
            use_ratio * 100.0
        )?;
        if let Some(reason) = &self.void {
            writeln!(out, "\nVOID: {reason}")?;
        }
        Ok(())
    }
}

fn row(name: &str, latency: &Latency) -> String {
    let Latency { p50_us, p90_us, p99_us, p999_us, max_us, mean_us, .. } = latency;
    format!(
        "{name:<7} {p50_us:>9.0} {p90_us:>9.0} {p99_us:>9.0} {p999_us:>9.0} {max_us:>9.0} {mean_us:>9.0}"
    )
}
