//! The section `telemetry` of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

/// What a node says of itself, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines are written: `json`, `pretty`, or `auto` (pretty on a terminal).
    pub format: LogFormat,
    /// The least severe lines that are written: `off`, `error`, `warn`, `info`, `debug`, `trace`.
    pub level: LogLevel,
    /// Other levels for single targets and what is below them, such as `troupe_edge = "debug"`.
    pub targets: BTreeMap<String, LogLevel>,
    /// How often health checks run, at least a second.
    #[serde(with = "units::duration")]
    pub health_every: Duration,
    /// Whether the probes answer with the reason of a failed check. They are open to everybody who
    /// reaches the port, so it is off; the log has the reasons in any case.
    pub health_details: bool,
    /// How long repetitions of an error are counted instead of passed on.
    #[serde(with = "units::duration")]
    pub errors_window: Duration,
    /// How many errors are kept to be looked at.
    pub errors_kept_max: usize,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: LogLevel::Info,
            targets: BTreeMap::new(),
            health_every: Duration::from_secs(10),
            health_details: false,
            errors_window: Duration::from_secs(60),
            errors_kept_max: 200,
        }
    }
}

impl ConfigSection for TelemetryConfig {
    const NAME: &'static str = "telemetry";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let hour = Duration::from_secs(3600);
        if self.health_every < Duration::from_secs(1) || self.health_every > hour {
            faults.push(ConfigFault::new("health_every", "is between 1s and 1h"));
        }
        if self.errors_window < Duration::from_secs(1) || self.errors_window > hour {
            faults.push(ConfigFault::new("errors_window", "is between 1s and 1h"));
        }
        if self.errors_kept_max > 10_000 {
            faults.push(ConfigFault::new("errors_kept_max", "is at most 10000"));
        }
        faults
    }
}

impl TelemetryConfig {
    /// The filter that the levels describe.
    pub(crate) fn filter(&self) -> Targets {
        let targets = self.targets.iter().map(|(target, level)| (target.clone(), level.filter()));
        Targets::new().with_default(self.level.filter()).with_targets(targets)
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// One JSON document a line.
    Json,
    /// One line for people.
    Pretty,
}

/// The least severe lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Something failed and a person should look.
    Error,
    /// Something is odd and was dealt with.
    Warn,
    /// What an operator wants to read of a healthy node.
    Info,
    /// What a developer wants to read.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_target_has_its_own_level_and_the_rest_the_common_one() {
        let config = TelemetryConfig {
            targets: BTreeMap::from([("troupe_edge".to_owned(), LogLevel::Debug)]),
            ..TelemetryConfig::default()
        };
        let filter = config.filter();
        assert!(filter.would_enable("troupe_edge::server", &Level::DEBUG));
        assert!(!filter.would_enable("troupe_blog", &Level::DEBUG));
        assert!(filter.would_enable("troupe_blog", &Level::INFO));
    }

    #[test]
    fn values_out_of_range_are_all_reported() {
        let config = TelemetryConfig {
            health_every: Duration::ZERO,
            errors_window: Duration::from_secs(86_400),
            errors_kept_max: 1_000_000,
            ..TelemetryConfig::default()
        };
        let paths: Vec<_> = config.validate().into_iter().map(|fault| fault.path).collect();
        assert_eq!(paths, ["health_every", "errors_window", "errors_kept_max"]);
        assert!(TelemetryConfig::default().validate().is_empty());
    }
}
