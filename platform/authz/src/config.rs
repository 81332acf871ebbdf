//! The configuration section `authz`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

/// Bounds of the authorization service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthzConfig {
    /// Actors that keep compiled permissions, each responsible for a part of the subjects.
    pub shards: usize,
    /// Subjects (times tenants) that each of them remembers.
    pub subjects_per_shard_max: usize,
    /// After this age compiled permissions are read again, in case another node's change was missed.
    #[serde(with = "units::duration")]
    pub age_max: Duration,
    /// Commands on roles and bindings that run at once.
    pub workers: usize,
}

impl Default for AuthzConfig {
    fn default() -> Self {
        Self {
            shards: 2,
            subjects_per_shard_max: 8192,
            age_max: Duration::from_secs(60),
            workers: 4,
        }
    }
}

impl ConfigSection for AuthzConfig {
    const NAME: &'static str = "authz";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        for (key, value, most) in [
            ("shards", self.shards, 64),
            ("subjects_per_shard_max", self.subjects_per_shard_max, 10_000_000),
            ("workers", self.workers, 64),
        ] {
            if !(1..=most).contains(&value) {
                faults.push(ConfigFault::new(
                    key,
                    format!("is {value}; it must be from 1 to {most}"),
                ));
            }
        }
        if self.age_max < Duration::from_secs(1) || self.age_max > Duration::from_secs(3600) {
            faults.push(ConfigFault::new("age_max", "must be from 1s to 1h"));
        }
        faults
    }
}
