//! Logs, metrics, health and the error bus of a node.
//!
//! [`Telemetry::install`] comes first in `main`: it puts the log subscriber and the metrics
//! recorder in place, once for the process. [`Telemetry::child`] gives the supervised part: the
//! health checks, the error bus and the upkeep of histograms.
//!
//! Other crates use the macros of `tracing` and `metrics` and know nothing of this one. What they
//! log inside a handler carries the request, trace and tenant of the message that is handled.

mod config;
mod error;
mod errors;
mod health;
mod logs;
mod metrics;
mod process;

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

/// The telemetry of one node.
#[derive(Clone)]
pub struct Telemetry {
    config: Arc<TelemetryConfig>,
    levels: LogLevels,
    metrics: Metrics,
    health: Health,
    errors: ErrorBus,
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
        let health = Health::new(clock, &config);
        Ok(Self { config: Arc::new(config), levels, metrics, health, errors })
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
        Supervisor::new(system, "telemetry")
            .strategy(Strategy::OneForOne)
            .child(errors)
            .child(upkeep)
            .child(health)
            .into_spec()
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
