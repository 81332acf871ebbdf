//! Logs, metrics, traces, health and the error bus of a node.
//!
//! [`Telemetry::install`] comes first in `main`: it puts the log subscriber and the metrics
//! recorder in place, once for the process. [`Telemetry::child`] gives the supervised part: the
//! health checks, the error bus, the upkeep of histograms, and what sends traces and errors elsewhere.
//!
//! Other crates use the macros of `tracing` and `metrics` and know nothing of this one. What they
//! log inside a handler carries the request, trace and tenant of the message that is handled.

mod client;
mod config;
mod error;
mod errors;
mod health;
mod logs;
mod metrics;
mod process;
mod sentry;
mod traces;

use std::sync::Arc;

use troupe_actors::{ChildSpec, Spec, Strategy, Supervisor, System};
use troupe_kernel::clock::SharedClock;
use troupe_kernel::reload::Reload;

pub use config::{LogFormat, LogLevel, TelemetryConfig};
pub use error::TelemetryError;
pub use errors::{ErrorBus, ErrorNotice, ErrorRaised, ErrorReport, ErrorService};
pub use health::{CheckReport, Health, HealthReport, HealthService, HealthStatus, Phase};
pub use logs::{LogLevels, LogOutput};
pub use metrics::{Metrics, UpkeepService};
pub use sentry::{SentryConfig, SentryService};
pub use traces::{ExportService, Sampling, TracesConfig};

use sentry::Reporter;
use traces::Exporter;

/// The telemetry of one node.
#[derive(Clone)]
pub struct Telemetry {
    config: Arc<TelemetryConfig>,
    levels: LogLevels,
    metrics: Metrics,
    health: Health,
    errors: ErrorBus,
    clock: SharedClock,
    exporter: Option<Arc<Exporter>>,
    reporter: Option<Arc<Reporter>>,
}

/// Who sends traces and reports of errors, and where to.
pub struct Sending<'a> {
    /// The section `traces`.
    pub traces: &'a TracesConfig,
    /// The section `sentry`.
    pub sentry: &'a SentryConfig,
    /// Name of the node.
    pub node: &'a str,
    /// Version of the product.
    pub version: &'a str,
}

impl Telemetry {
    /// Installs logs and metrics for the process and prepares the rest.
    ///
    /// # Errors
    /// When logs or metrics are already installed.
    pub fn install(config: TelemetryConfig, clock: SharedClock) -> Result<Self, TelemetryError> {
        let errors = ErrorBus::new(clock.clone(), &config);
        let levels = logs::install(&config, LogOutput::stdout(), clock.clone(), &errors)?;
        let metrics = Metrics::install()?;
        errors.announce();
        let health = Health::new(clock.clone(), &config);
        Ok(Self {
            config: Arc::new(config),
            levels,
            metrics,
            health,
            errors,
            clock,
            exporter: None,
            reporter: None,
        })
    }

    /// The same, which also sends traces and errors where the sections say.
    ///
    /// # Errors
    /// When the certificates of the system cannot be read.
    pub fn sending(mut self, to: &Sending<'_>) -> Result<Self, TelemetryError> {
        let who = (to.node, to.version);
        self.exporter = Exporter::new(to.traces, self.clock.clone(), who)?.map(Arc::new);
        self.reporter = Reporter::new(to.sentry, self.clock.clone(), who)?.map(Arc::new);
        Ok(self)
    }

    /// The supervised part.
    #[must_use]
    pub fn child(&self, system: &System) -> ChildSpec {
        let health = self.health.clone();
        let period = self.config.health_every;
        let health =
            Spec::new(system, "health", move || HealthService::new(health.clone(), period))
                .capacity(256)
                .build()
                .1;
        let bus = self.errors.clone();
        let errors = Spec::new(system, "errors", move || ErrorService::new(bus.clone())).build().1;
        let metrics = self.metrics.clone();
        let upkeep =
            Spec::new(system, "upkeep", move || UpkeepService::new(metrics.clone())).build().1;
        // In the order of starting: what sends stops last, and sends what the others still say.
        Supervisor::new(system, "telemetry")
            .strategy(Strategy::OneForOne)
            .children(self.traces(system))
            .children(self.sentry(system))
            .child(errors)
            .child(upkeep)
            .child(health)
            .into_spec()
    }

    fn traces(&self, system: &System) -> Option<ChildSpec> {
        let exporter = self.exporter.clone()?;
        let spec = Spec::new(system, "traces", move || ExportService::new(exporter.clone()));
        Some(spec.build().1)
    }

    fn sentry(&self, system: &System) -> Option<ChildSpec> {
        let reporter = self.reporter.clone()?;
        let spec = Spec::new(system, "sentry", move || SentryService::new(reporter.clone()));
        let (sentry, child) = spec.build();
        self.errors.subscribe(sentry);
        Some(child)
    }

    /// Changes log levels while the node runs.
    #[must_use]
    pub fn levels(&self) -> &LogLevels {
        &self.levels
    }

    /// Takes other levels of the log while the node runs.
    #[must_use]
    pub fn reload(&self) -> Reload {
        let levels = self.levels.clone();
        Reload::new(&["level", "targets"], move |config: TelemetryConfig| {
            let change = levels.change_to(&config);
            Box::pin(std::future::ready(Ok(change)))
        })
    }

    /// What `/metrics` answers.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What the probes answer.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What went wrong lately, and who wants to know.
    #[must_use]
    pub fn errors(&self) -> &ErrorBus {
        &self.errors
    }
}
