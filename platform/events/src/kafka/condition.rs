//! Whether the brokers answer and how much waits for them, for the health check and the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use troupe_kernel::{Failure, HealthCheck};

use crate::kafka_config::KafkaConfig;

/// When a refused caller may try again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How Kafka is as far as this node knows.
pub(crate) struct Condition {
    brokers: String,
    backlog_max: u64,
    backlog: AtomicU64,
    /// Whether it was told that they answer; every acknowledgement says so.
    is_up: AtomicBool,
    brokers_state: Mutex<Brokers>,
}

/// What clients told of the brokers.
#[derive(Default)]
struct Brokers {
    are_away: bool,
    /// The last error that says more than that they are.
    reason: String,
}

impl Condition {
    pub(super) fn new(config: &KafkaConfig) -> Self {
        Self {
            brokers: config.brokers.clone(),
            backlog_max: config.backlog_max,
            backlog: AtomicU64::new(0),
            is_up: AtomicBool::new(false),
            brokers_state: Mutex::default(),
        }
    }

    /// A broker answered.
    pub(super) fn is_there(&self) {
        if self.is_up.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.brokers_state.lock();
        self.is_up.store(true, Ordering::Relaxed);
        if std::mem::take(&mut state.are_away) {
            tracing::info!(brokers = self.brokers, "the brokers answer again");
        }
        metrics::gauge!("events_kafka_up").set(1.0);
    }

    /// A client reports an error; only some mean that nobody answers.
    pub(super) fn is_away(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let mut state = self.brokers_state.lock();
        if code != Some(RDKafkaErrorCode::AllBrokersDown) {
            tracing::debug!(%error, reason, "a client of Kafka reports an error");
            reason.clone_into(&mut state.reason);
        }
        // A broker that does not let us in is not counted as down.
        if !matches!(
            code,
            Some(
                RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SSL
            )
        ) {
            return;
        }
        self.is_up.store(false, Ordering::Relaxed);
        if !std::mem::replace(&mut state.are_away, true) {
            let reason = advised(&state.reason);
            tracing::warn!(
                brokers = self.brokers,
                reason,
                "the brokers do not answer; events wait"
            );
        }
        metrics::gauge!("events_kafka_up").set(0.0);
    }

    /// So many events wait for the relay.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    pub(super) fn measured(&self, backlog: u64) {
        self.backlog.store(backlog, Ordering::Relaxed);
        metrics::gauge!("events_relay_backlog").set(backlog as f64);
        metrics::gauge!("events_relay_backlog_max").set(self.backlog_max as f64);
    }

    /// How many events wait for the relay.
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.backlog() >= self.backlog_max
    }

    /// What a unit of work with events is refused with while as many wait as may.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        self.is_full().then(|| {
            Failure::unavailable(
                "events.backlog.full",
                "nothing that others must hear of can be changed now: too much waits for the event bus",
            )
            .retry_after(RETRY_AFTER)
        })
    }

    /// The check `kafka`: the node serves on while it fails.
    pub(crate) fn health_check(self: &Arc<Self>) -> HealthCheck {
        let condition = self.clone();
        let probe = move || {
            let result = condition.verdict();
            Box::pin(std::future::ready(result)) as troupe_kernel::BoxFuture<'static, _>
        };
        HealthCheck::new("kafka", Arc::new(probe))
    }

    fn verdict(&self) -> Result<(), String> {
        let (waiting, max) = (self.backlog(), self.backlog_max);
        if self.is_full() {
            return Err(format!(
                "{waiting} events wait for Kafka and no more are taken; bring {} back, or raise \
                 events.kafka.backlog_max (now {max})",
                self.brokers
            ));
        }
        let state = self.brokers_state.lock();
        if state.are_away {
            let reason = advised(&state.reason);
            return Err(format!(
                "{} do not answer ({reason}); {waiting} of at most {max} events wait",
                self.brokers
            ));
        }
        if waiting > max / 2 {
            return Err(format!(
                "{waiting} of at most {max} events wait for Kafka: it takes fewer than are written"
            ));
        }
        Ok(())
    }
}

/// What the library says, and what to do about it.
fn advised(reason: &str) -> String {
    let advice = if reason.contains("SASL authentication") {
        "; check sasl, username and password in events.kafka"
    } else if reason.contains("certificate") || reason.contains("SSL handshake") {
        "; events.kafka.tls_ca must hold the certificate that the brokers' leads to, and \
         events.kafka.brokers the hosts that they name"
    } else {
        ""
    };
    format!("{reason}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition() -> Condition {
        let brokers = "a.example:9092".to_owned();
        Condition::new(&KafkaConfig { brokers, backlog_max: 1_000, ..KafkaConfig::default() })
    }

    #[test]
    fn it_is_unwell_without_brokers_and_with_half_of_the_backlog_that_may_be() {
        let condition = condition();
        assert!(condition.verdict().is_ok());
        condition.is_away(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "refused");
        assert!(condition.verdict().is_ok(), "one of several brokers may be away");
        condition.is_away(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 down");
        assert!(
            condition.verdict().unwrap_err().contains("a.example:9092 do not answer (refused)")
        );
        condition.is_there();
        assert!(condition.verdict().is_ok());
        for (code, reason, advice) in [
            (RDKafkaErrorCode::Authentication, "SASL authentication error: no", "username"),
            (RDKafkaErrorCode::SSL, "certificate verify failed", "events.kafka.tls_ca"),
        ] {
            condition.is_away(&KafkaError::Global(code), reason);
            let told = condition.verdict().unwrap_err();
            assert!(told.contains(reason) && told.contains(advice), "{told}");
            condition.is_there();
        }
        condition.measured(501);
        assert!(condition.refusal().is_none() && condition.verdict().is_err());
        condition.measured(1_000);
        assert_eq!(condition.refusal().unwrap().code(), "events.backlog.full");
        assert!(condition.verdict().unwrap_err().contains("backlog_max"));
    }
}
