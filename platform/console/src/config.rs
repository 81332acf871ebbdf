//! The section `console` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

/// What the inspection API allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// A tap that nobody reads for this long is closed.
    #[serde(with = "units::duration")]
    pub tap_lease: Duration,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self { tap_lease: Duration::from_secs(5) }
    }
}

impl ConfigSection for ConsoleConfig {
    const NAME: &'static str = "console";

    fn validate(&self) -> Vec<ConfigFault> {
        if (Duration::from_secs(1)..=Duration::from_secs(300)).contains(&self.tap_lease) {
            return Vec::new();
        }
        vec![ConfigFault::new("tap_lease", "is between 1s and 5m")]
    }
}
