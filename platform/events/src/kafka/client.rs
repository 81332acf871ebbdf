//! How a client of librdkafka is made, and what it tells of itself.

use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

use super::condition::Condition;
use crate::kafka_config::{KafkaConfig, Sasl};

/// The settings of every client.
pub(super) fn settings(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "troupe")
        .set("security.protocol", protocol(config))
        .set("statistics.interval.ms", "1000")
        .set("reconnect.backoff.max.ms", "2000")
        .set("allow.auto.create.topics", "false")
        // Brokers close idle connections; that is no error.
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    for (key, text) in [
        ("ssl.ca.pem", config.tls_ca.as_str()),
        ("ssl.certificate.pem", config.tls_certificate.as_str()),
        ("ssl.key.pem", config.tls_key.expose()),
        ("sasl.username", config.username.as_str()),
        ("sasl.password", config.password.expose()),
        ("sasl.mechanism", mechanism(config.sasl)),
    ] {
        if !text.is_empty() {
            client.set(key, text);
        }
    }
    client
}

fn protocol(config: &KafkaConfig) -> &'static str {
    match (config.tls, config.sasl) {
        (false, Sasl::None) => "plaintext",
        (true, Sasl::None) => "ssl",
        (false, _) => "sasl_plaintext",
        (true, _) => "sasl_ssl",
    }
}

fn mechanism(sasl: Sasl) -> &'static str {
    match sasl {
        Sasl::None => "",
        Sasl::Plain => "PLAIN",
        Sasl::ScramSha256 => "SCRAM-SHA-256",
        Sasl::ScramSha512 => "SCRAM-SHA-512",
    }
}

/// Hears what a client of the library says of itself.
#[derive(Clone)]
pub(super) struct Watch {
    condition: Arc<Condition>,
}

impl Watch {
    pub(super) fn new(condition: &Arc<Condition>) -> Self {
        Self { condition: condition.clone() }
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, text, "kafka")
            }
            // Every attempt to connect writes one; the condition says it once.
            RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning
            | RDKafkaLogLevel::Notice
            | RDKafkaLogLevel::Info
            | RDKafkaLogLevel::Debug => tracing::debug!(facility, text, "kafka"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.condition.is_there();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.condition.is_away(&error, reason);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::producer::BaseProducer;
    use troupe_kernel::Secret;

    use super::*;

    #[test]
    fn the_library_knows_every_way_to_connect_and_to_log_in() {
        for (tls, expected) in [(false, "sasl_plaintext"), (true, "sasl_ssl")] {
            for sasl in [Sasl::Plain, Sasl::ScramSha256, Sasl::ScramSha512] {
                let config = KafkaConfig {
                    brokers: "127.0.0.1:1".to_owned(),
                    tls,
                    sasl,
                    username: "me".to_owned(),
                    password: Secret::new("hunter2"),
                    ..KafkaConfig::default()
                };
                let settings = settings(&config);
                assert_eq!(settings.get("security.protocol"), Some(expected));
                let made = settings.create::<BaseProducer>();
                assert!(made.is_ok(), "{sasl:?} with TLS {tls}: {:?}", made.err());
            }
        }
    }

    #[test]
    fn a_certificate_that_is_none_is_refused_without_showing_the_key() {
        let config = KafkaConfig {
            brokers: "127.0.0.1:1".to_owned(),
            tls: true,
            tls_certificate: "no certificate".to_owned(),
            tls_key: Secret::new("hunter2"),
            ..KafkaConfig::default()
        };
        let error = settings(&config).create::<BaseProducer>().err().expect("it is no PEM");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
