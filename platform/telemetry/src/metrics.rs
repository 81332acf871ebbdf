//! The metrics of the process, as Prometheus reads them.
//!
//! Parts count with the macros of the `metrics` crate. Durations are histograms whose name ends in
//! `_seconds`, sizes end in `_bytes`, counters in `_total`; labels have few values (never an id).

use std::time::Duration;

use ::metrics::set_global_recorder;
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use serde::{Deserialize, Serialize};
use troupe_actors::{Context, Handled, Lent, ProtocolSummary, Service, System};

use crate::error::TelemetryError;
use crate::process;

/// Upper bounds for durations: from a mailbox hop to a request that timed out.
const SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// Upper bounds for sizes.
const BYTES: [f64; 6] = [256.0, 1024.0, 8_192.0, 65_536.0, 1_048_576.0, 16_777_216.0];
/// How often samples are sorted into their buckets when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics of the process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder for the process.
    ///
    /// # Errors
    /// When there is one already.
    pub fn install() -> Result<Self, TelemetryError> {
        let (recorder, metrics) = Self::build()?;
        set_global_recorder(recorder).map_err(|_| TelemetryError::MetricsInstalled)?;
        Ok(metrics)
    }

    /// A recorder that is not installed, for a test.
    pub(crate) fn build() -> Result<(PrometheusRecorder, Self), TelemetryError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES)
            })
            .map_err(TelemetryError::Recorder)?
            .build_recorder();
        let handle = recorder.handle();
        Ok((recorder, Self { handle }))
    }

    /// All metrics in the text form, with the process's own and those of the actor system.
    #[must_use]
    pub fn render(&self, system: &System) -> String {
        process::measure();
        measure_actors(system);
        self.handle.render()
    }

    /// Sorts samples into their buckets, so that they do not pile up while nobody scrapes.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// Figures of the actor system. Labels are protocols, of which there are few; never actors.
fn measure_actors(system: &System) {
    ::metrics::gauge!("troupe_actors").set(count(system.actor_count() as u64));
    ::metrics::counter!("troupe_actor_crashes_total").absolute(system.crash_count());
    ::metrics::counter!("troupe_dead_letters_total").absolute(system.dead_letter_count());
    for ProtocolSummary { protocol, services, counts, depth_max } in system.protocols() {
        let labels = [("protocol", protocol)];
        ::metrics::gauge!("troupe_services", &labels).set(count(services));
        ::metrics::gauge!("troupe_mailbox_depth", &labels).set(count(counts.depth));
        ::metrics::gauge!("troupe_mailbox_depth_max", &labels).set(count(depth_max));
        let oldest_seconds = count(counts.oldest_ms) / 1000.0;
        ::metrics::gauge!("troupe_mailbox_oldest_seconds", &labels).set(oldest_seconds);
        for (outcome, messages) in [
            ("handled", counts.handled),
            ("failed", counts.failed),
            ("expired", counts.expired),
            ("shed", counts.shed),
            ("crashed", counts.crashes),
            ("dead", counts.dead),
        ] {
            let labels = [("protocol", labels[0].1.clone()), ("outcome", outcome.to_owned())];
            ::metrics::counter!("troupe_messages_total", &labels).absolute(messages);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts stay far below 2^53")]
pub(crate) fn count(count: u64) -> f64 {
    count as f64
}

/// Sort the samples.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunUpkeep;

troupe_actors::protocol! {
    /// What the upkeep of the metrics tells itself.
    pub enum UpkeepMessage("telemetry.metrics", 1) redact [] {
        /// Time for upkeep.
        RunUpkeep,
    }
}

/// Keeps the memory of histograms bounded.
///
/// Restart: permanent. A crash loses nothing.
pub struct UpkeepService {
    metrics: Metrics,
}

impl UpkeepService {
    /// The service of `metrics`.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl Service for UpkeepService {
    type Message = UpkeepMessage;

    async fn start(&mut self, ctx: &mut Context<UpkeepMessage>) -> Handled {
        ctx.every(UPKEEP, || RunUpkeep.into())
    }

    async fn handle(
        &mut self,
        _message: &mut Lent<UpkeepMessage>,
        _ctx: &mut Context<UpkeepMessage>,
    ) -> Handled {
        self.metrics.upkeep();
        Ok(())
    }
}
