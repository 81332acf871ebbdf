//! The section `cache` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

/// How much the cache holds and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Memory for keys, values and what it takes to keep them.
    #[serde(with = "units::size")]
    pub size_max: u64,
    /// Nothing is kept for longer than this, whatever its owner asks for.
    #[serde(with = "units::duration")]
    pub ttl_max: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { size_max: 32 << 20, ttl_max: Duration::from_secs(24 * 3600) }
    }
}

impl ConfigSection for CacheConfig {
    const NAME: &'static str = "cache";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        if self.size_max < 1 << 20 || usize::try_from(self.size_max).is_err() {
            faults.push(ConfigFault::new("size_max", "is at least 1MiB"));
        }
        if self.ttl_max < Duration::from_secs(1) {
            faults.push(ConfigFault::new("ttl_max", "is at least 1s"));
        }
        faults
    }
}
