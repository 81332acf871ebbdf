//! The configuration section `jobs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::Backoff;
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

/// How jobs are claimed, run and tried again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// Jobs of one queue that run at the same time in this node, unless the queue says otherwise.
    pub concurrency: usize,
    /// Queues with settings of their own, by name: `[jobs.queues.mail] concurrency = 2`.
    pub queues: BTreeMap<String, QueueConfig>,
    /// How often a queue looks for due jobs without being woken; the precision of delayed jobs.
    #[serde(with = "units::duration")]
    pub poll: Duration,
    /// How long a claimed job belongs to a process that gives no sign of life.
    #[serde(with = "units::duration")]
    pub lease: Duration,
    /// The wait before the second attempt; it doubles.
    #[serde(with = "units::duration")]
    pub retry_first: Duration,
    /// No wait between two attempts is longer.
    #[serde(with = "units::duration")]
    pub retry_max: Duration,
    /// While a service is away, a job is tried beyond its attempts for this long after it was added.
    #[serde(with = "units::duration")]
    pub outage_max: Duration,
    /// How long a stopping node waits for running jobs; what is left is tried again later.
    #[serde(with = "units::duration")]
    pub drain: Duration,
}

/// Settings of one queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// Jobs that run at the same time in this node.
    pub concurrency: usize,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            concurrency: 8,
            queues: BTreeMap::new(),
            poll: Duration::from_secs(1),
            lease: Duration::from_secs(30),
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_secs(600),
            outage_max: Duration::from_secs(24 * 3_600),
            drain: Duration::from_secs(10),
        }
    }
}

impl JobsConfig {
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { first: self.retry_first, max: self.retry_max, ..Backoff::default() }
    }

    pub(crate) fn concurrency_of(&self, queue: &str) -> usize {
        self.queues.get(queue).map_or(self.concurrency, |queue| queue.concurrency)
    }
}

impl ConfigSection for JobsConfig {
    const NAME: &'static str = "jobs";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let own = self
            .queues
            .iter()
            .map(|(name, queue)| (format!("queues.{name}.concurrency"), queue.concurrency));
        for (key, value) in [("concurrency".to_owned(), self.concurrency)].into_iter().chain(own) {
            if !(1..=1_000).contains(&value) {
                faults
                    .push(ConfigFault::new(key, format!("is {value}; it must be from 1 to 1000")));
            }
        }
        let waits = [
            ("poll", self.poll, 1),
            ("lease", self.lease, 1_000),
            ("retry_first", self.retry_first, 1),
        ];
        for (key, value, least) in waits {
            let least = Duration::from_millis(least);
            if value < least {
                faults.push(ConfigFault::new(
                    key,
                    format!("must be at least {}", units::format_duration(least)),
                ));
            }
        }
        if self.retry_max < self.retry_first {
            faults.push(ConfigFault::new("retry_max", "must not be shorter than jobs.retry_first"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_every_fault_is_listed() {
        assert!(JobsConfig::default().validate().is_empty());
        let config = JobsConfig {
            concurrency: 0,
            queues: [("mail".to_owned(), QueueConfig { concurrency: 0 })].into(),
            lease: Duration::ZERO,
            retry_max: Duration::ZERO,
            ..JobsConfig::default()
        };
        let paths: Vec<String> = config.validate().into_iter().map(|fault| fault.path).collect();
        assert_eq!(paths, ["concurrency", "queues.mail.concurrency", "lease", "retry_max"]);
    }
}
