//! The configuration section `events`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::Backoff;
use troupe_kernel::config::{ConfigFault, ConfigSection, units};

use crate::kafka_config::KafkaConfig;

/// How events are delivered and how long the log is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// Events that a consumer reads at once.
    pub batch_max: usize,
    /// Subjects to which a consumer delivers at the same time.
    pub concurrency: usize,
    /// How often a consumer looks without being woken.
    #[serde(with = "units::duration")]
    pub poll: Duration,
    /// How long one delivery may take.
    #[serde(with = "units::duration")]
    pub delivery_timeout: Duration,
    /// Deliveries of one event before it becomes a dead letter.
    pub attempts_max: u32,
    /// The wait before the second delivery; it doubles.
    #[serde(with = "units::duration")]
    pub retry_first: Duration,
    /// No wait between two deliveries is longer.
    #[serde(with = "units::duration")]
    pub retry_max: Duration,
    /// How long a consumer waits for a service that is away before the event becomes a dead letter.
    #[serde(with = "units::duration")]
    pub outage_max: Duration,
    /// How long a node keeps a consumer to itself without renewing; after a crash another waits this long.
    #[serde(with = "units::duration")]
    pub lease: Duration,
    /// How long delivered events stay in the log.
    #[serde(with = "units::duration")]
    pub keep: Duration,
    /// How long events stay in the log for a consumer that does not read them.
    #[serde(with = "units::duration")]
    pub keep_max: Duration,
    /// Kafka between the commit of events and their consumers.
    pub kafka: KafkaConfig,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            batch_max: 100,
            concurrency: 8,
            poll: Duration::from_secs(1),
            delivery_timeout: Duration::from_secs(30),
            attempts_max: 6,
            retry_first: Duration::from_millis(100),
            retry_max: Duration::from_secs(10),
            outage_max: Duration::from_secs(3_600),
            lease: Duration::from_secs(10),
            keep: Duration::from_secs(24 * 3_600),
            keep_max: Duration::from_secs(14 * 24 * 3_600),
            kafka: KafkaConfig::default(),
        }
    }
}

impl EventsConfig {
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { first: self.retry_first, max: self.retry_max, ..Backoff::default() }
    }
}

impl ConfigSection for EventsConfig {
    const NAME: &'static str = "events";

    fn validate(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        for (key, value, most) in
            [("batch_max", self.batch_max, 1_000), ("concurrency", self.concurrency, 256)]
        {
            if !(1..=most).contains(&value) {
                faults.push(ConfigFault::new(
                    key,
                    format!("is {value}; it must be from 1 to {most}"),
                ));
            }
        }
        if !(1..=100).contains(&self.attempts_max) {
            faults.push(ConfigFault::new("attempts_max", "must be from 1 to 100"));
        }
        let (least, second) = (Duration::from_millis(1), Duration::from_secs(1));
        for (key, value, least) in [
            ("poll", self.poll, least),
            ("delivery_timeout", self.delivery_timeout, least),
            ("lease", self.lease, second),
        ] {
            if value < least {
                faults.push(ConfigFault::new(
                    key,
                    format!("must be at least {}", units::format_duration(least)),
                ));
            }
        }
        if self.keep_max < self.keep {
            faults.push(ConfigFault::new("keep_max", "must not be shorter than events.keep"));
        }
        faults.extend(self.kafka.faults());
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_every_fault_is_listed() {
        assert!(EventsConfig::default().validate().is_empty());
        let config = EventsConfig {
            batch_max: 0,
            attempts_max: 0,
            poll: Duration::ZERO,
            keep_max: Duration::ZERO,
            ..EventsConfig::default()
        };
        let paths: Vec<String> = config.validate().into_iter().map(|fault| fault.path).collect();
        assert_eq!(paths, ["batch_max", "attempts_max", "poll", "keep_max"]);
    }
}
