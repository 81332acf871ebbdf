//! Why telemetry could not be installed or changed.

use metrics_exporter_prometheus::BuildError;
use thiserror::Error;

/// Why telemetry could not be installed or changed.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// A log subscriber is in place already.
    #[error("a log subscriber is already installed in this process")]
    LogsInstalled(#[source] tracing_subscriber::util::TryInitError),
    /// A metrics recorder is in place already.
    #[error("a metrics recorder is already installed in this process")]
    MetricsInstalled,
    /// The recorder refuses our settings.
    #[error("the metrics recorder could not be built")]
    Recorder(#[source] BuildError),
    /// No certificates to trust, for what is sent elsewhere.
    #[error(
        "the certificates of the system cannot be read, which `traces` and `sentry` need; \
         install ca-certificates"
    )]
    Certificates(#[source] std::io::Error),
    /// The log subscriber is gone, so its levels cannot be changed.
    #[error("the log subscriber is gone")]
    LogsGone(#[source] tracing_subscriber::reload::Error),
}
