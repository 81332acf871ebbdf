//! The section `sentry` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, Secret, units};

use super::dsn::Dsn;

/// Where errors are reported.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SentryConfig {
    /// The project's DSN: `https://KEY@HOST/PROJECT`. A secret. Empty reports nothing.
    pub dsn: Secret,
    /// Where the node runs: `production`, `staging`.
    pub environment: String,
    /// What runs: the release that errors are filed under. Empty takes `troupe@VERSION`.
    pub release: String,
    /// Reports in a minute at most; more are thrown away and counted.
    pub per_minute_max: u32,
    /// How long the server may take for an answer.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
}

impl Default for SentryConfig {
    fn default() -> Self {
        Self {
            dsn: Secret::default(),
            environment: "production".to_owned(),
            release: String::new(),
            per_minute_max: 30,
            timeout: Duration::from_secs(10),
        }
    }
}

impl ConfigSection for SentryConfig {
    const NAME: &'static str = "sentry";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if !self.dsn.is_empty() && self.dsn().is_none() {
            faults.push(ConfigFault::new(
                "dsn",
                "is https://KEY@HOST/PROJECT, as the server shows it",
            ));
        }
        if self.environment.is_empty() || self.environment.contains(['/', '\n', ' ']) {
            faults.push(ConfigFault::new("environment", "is a name without spaces and slashes"));
        }
        if self.per_minute_max == 0 || self.per_minute_max > 6_000 {
            faults.push(ConfigFault::new("per_minute_max", "is between 1 and 6000"));
        }
        if self.timeout < Duration::from_millis(10) || self.timeout > Duration::from_secs(600) {
            faults.push(ConfigFault::new("timeout", "is between 10ms and 10m"));
        }
        faults
    }
}

impl SentryConfig {
    pub(super) fn dsn(&self) -> Option<Dsn> {
        Dsn::parse(self.dsn.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_dsn_is_reported_without_its_key() {
        let config =
            SentryConfig { dsn: Secret::new("https://k3y@host"), ..SentryConfig::default() };
        let faults = config.validate();
        assert_eq!(faults.len(), 1);
        assert!(!format!("{faults:?}").contains("k3y"), "{faults:?}");
        assert!(SentryConfig::default().validate().is_empty());
    }
}
