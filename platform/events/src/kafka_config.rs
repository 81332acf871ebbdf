//! The part `kafka` of the configuration section `events`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_kernel::config::{ConfigFault, Secret, units};

const SECOND: Duration = Duration::from_secs(1);
/// Kafka's limit is 249; the names of consumers follow the prefix.
const PREFIX_LENGTH_MAX: usize = 80;

/// Kafka as the way of events between their commit and their consumers. Without brokers they stay in
/// the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Some of the brokers, `host:port`, separated by commas. Empty keeps the events in the database.
    pub brokers: String,
    /// Whether the connections are encrypted.
    pub tls: bool,
    /// Certificates to trust, PEM: write `${file:PATH}`. Empty trusts those of the machine.
    pub tls_ca: String,
    /// The client's certificate, PEM, when the brokers ask for one.
    pub tls_certificate: String,
    /// The key of the certificate, PEM. A secret: write `${file:PATH}`.
    pub tls_key: Secret,
    /// How the client logs in.
    pub sasl: Sasl,
    /// User for the login.
    pub username: String,
    /// Password for the login. A secret: write `${file:PATH}` or `${env:NAME}`.
    pub password: Secret,
    /// What the names of topics and groups begin with.
    pub topic_prefix: String,
    /// Whether missing topics are made; otherwise they must be there.
    pub provision: bool,
    /// Partitions of a topic that is made: the most members of a group that work at the same time.
    pub partitions: i32,
    /// Copies of a topic that is made; 0 takes the default of the brokers.
    pub replication: i32,
    /// How long a topic that is made keeps its messages.
    #[serde(with = "units::duration")]
    pub keep: Duration,
    /// The largest message; a larger event becomes a dead letter.
    #[serde(with = "units::size")]
    pub message_bytes_max: u64,
    /// Events that are read and published together.
    pub publish_batch_max: usize,
    /// Events that may wait for Kafka. With more, what would add events is refused until they are fewer.
    pub backlog_max: u64,
    /// How often an event goes through the retry topic before it becomes a dead letter.
    pub retries_max: u32,
    /// The wait in the retry topic; it doubles each time.
    #[serde(with = "units::duration")]
    pub retry_wait: Duration,
    /// How long a member of a group may be silent before its partitions go to others.
    #[serde(with = "units::duration")]
    pub session_timeout: Duration,
}

/// How the client logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sasl {
    /// Not at all, or by its certificate.
    None,
    /// The password itself is sent.
    Plain,
    /// SCRAM with SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            tls: false,
            tls_ca: String::new(),
            tls_certificate: String::new(),
            tls_key: Secret::default(),
            sasl: Sasl::None,
            username: String::new(),
            password: Secret::default(),
            topic_prefix: "troupe".to_owned(),
            provision: true,
            partitions: 12,
            replication: 0,
            keep: Duration::from_secs(7 * 24 * 3_600),
            message_bytes_max: 1 << 20,
            publish_batch_max: 1_000,
            backlog_max: 5_000_000,
            retries_max: 3,
            retry_wait: Duration::from_secs(60),
            session_timeout: Duration::from_secs(45),
        }
    }
}

impl KafkaConfig {
    /// Whether events go through Kafka.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.brokers.trim().is_empty()
    }

    fn is_local(&self) -> bool {
        let local = |broker: &str| {
            let host = broker.trim().rsplit_once(':').map_or(broker, |(host, _)| host);
            matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        };
        self.brokers.split(',').all(local)
    }

    pub(crate) fn faults(&self) -> Vec<ConfigFault> {
        if !self.is_on() {
            return Vec::new();
        }
        let mut faults = self.connection_faults();
        let mut fault = |key: &str, detail: &str| {
            faults.push(ConfigFault::new(format!("kafka.{key}"), detail));
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !(1..=PREFIX_LENGTH_MAX).contains(&self.topic_prefix.len())
            || !self.topic_prefix.chars().all(allowed)
        {
            fault("topic_prefix", "must be 1 to 80 letters, digits, dots, hyphens or underscores");
        }
        if !(1..=10_000).contains(&self.partitions) {
            fault("partitions", "must be from 1 to 10000");
        }
        if !(0..=15).contains(&self.replication) {
            fault("replication", "must be from 1 to 15, or 0 for the default of the brokers");
        }
        if self.keep < 60 * SECOND {
            fault("keep", "must be at least 1m");
        }
        if !(1_024..=256 << 20).contains(&self.message_bytes_max) {
            fault("message_bytes_max", "must be from 1KiB to 256MiB");
        }
        if !(1..=10_000).contains(&self.publish_batch_max) {
            fault("publish_batch_max", "must be from 1 to 10000");
        }
        if self.backlog_max < 1_000 {
            fault("backlog_max", "must be at least 1000");
        }
        if self.retries_max > 20 {
            fault("retries_max", "must be from 0 to 20");
        }
        if !(SECOND / 100..=24 * 3_600 * SECOND).contains(&self.retry_wait) {
            fault("retry_wait", "must be from 10ms to 1d");
        }
        if !(6 * SECOND..=300 * SECOND).contains(&self.session_timeout) {
            fault("session_timeout", "must be from 6s to 5m");
        }
        faults
    }

    fn connection_faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, detail: &str| {
            faults.push(ConfigFault::new(format!("kafka.{key}"), detail));
        };
        if cfg!(not(feature = "kafka")) {
            fault(
                "brokers",
                "this binary was built without Kafka; build it with `--features kafka`, or leave \
                 events.kafka.brokers empty",
            );
        }
        let has_port = |broker: &str| {
            broker.rsplit_once(':').is_some_and(|(host, port)| {
                !host.trim().is_empty() && port.trim().parse::<u16>().is_ok()
            })
        };
        if !self.brokers.split(',').all(has_port) {
            fault("brokers", "must be addresses like broker1:9092,broker2:9092");
        }
        if self.tls_certificate.is_empty() != self.tls_key.is_empty() {
            fault("tls_key", "certificate and key belong together; set both or none");
        }
        if !self.tls && !(self.tls_ca.is_empty() && self.tls_certificate.is_empty()) {
            fault("tls", "must be true for the certificates to be used");
        }
        if (self.sasl == Sasl::None) != self.username.is_empty()
            || self.username.is_empty() != self.password.is_empty()
        {
            fault("sasl", "a way to log in, a user and a password belong together");
        }
        if self.sasl == Sasl::Plain && !self.tls && !self.is_local() {
            fault("tls", "must be true, or the password goes out in the clear");
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config: &KafkaConfig) -> Vec<String> {
        let mut paths: Vec<String> = config.faults().into_iter().map(|fault| fault.path).collect();
        // Whether this build has the adapter is another matter.
        if cfg!(not(feature = "kafka")) && config.is_on() {
            paths.remove(0);
        }
        paths
    }

    fn on() -> KafkaConfig {
        KafkaConfig { brokers: "a.example:9092, b.example:9092".to_owned(), ..Default::default() }
    }

    #[test]
    fn without_brokers_nothing_else_matters_and_with_them_the_defaults_are_valid() {
        assert!(paths(&KafkaConfig { partitions: 0, ..KafkaConfig::default() }).is_empty());
        assert!(paths(&on()).is_empty());
        assert!(on().is_on() && !KafkaConfig::default().is_on());
    }

    #[test]
    fn every_fault_is_listed() {
        let config = KafkaConfig {
            brokers: "a.example".to_owned(),
            tls_ca: "PEM".to_owned(),
            tls_key: Secret::new("key"),
            sasl: Sasl::Plain,
            topic_prefix: "a b".to_owned(),
            partitions: 0,
            replication: -1,
            backlog_max: 0,
            ..KafkaConfig::default()
        };
        let expected = [
            "brokers",
            "tls_key",
            "tls",
            "sasl",
            "tls",
            "topic_prefix",
            "partitions",
            "replication",
            "backlog_max",
        ];
        assert_eq!(paths(&config), expected.map(|key| format!("kafka.{key}")));
    }

    #[test]
    fn a_password_may_go_to_this_machine_in_the_clear() {
        let config = KafkaConfig {
            brokers: "localhost:9092".to_owned(),
            sasl: Sasl::Plain,
            username: "me".to_owned(),
            password: Secret::new("hunter2"),
            ..KafkaConfig::default()
        };
        assert!(paths(&config).is_empty());
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    #[cfg(not(feature = "kafka"))]
    fn a_binary_without_kafka_says_how_to_get_one() {
        let faults = on().faults();
        assert!(faults[0].detail.contains("--features kafka"), "{faults:?}");
    }
}
