//! How clients reach the brokers. A reload brings another login or other certificates for the clients that
//! are made from then on; those that are there are made anew.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer as _};
use tokio::sync::watch;
use troupe_kernel::{Change, ConfigFault, Failure, Reload};

use super::client::settings;
use crate::config::EventsConfig;
use crate::kafka_config::KafkaConfig;

/// How long another login is tried.
const TRY_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Addresses, login and certificates.
pub(crate) struct Access {
    config: RwLock<KafkaConfig>,
    /// Counts the reloads.
    renewals: watch::Sender<u64>,
}

impl Access {
    pub(super) fn new(config: &KafkaConfig) -> Self {
        Self { config: RwLock::new(config.clone()), renewals: watch::Sender::new(0) }
    }

    /// The settings of a client that is made now.
    pub(super) fn settings(&self) -> ClientConfig {
        settings(&self.config.read())
    }

    /// How often it changed; a client that was made before the last change is outdated.
    pub(super) fn renewal(&self) -> u64 {
        *self.renewals.borrow()
    }

    /// Waits until it changes after so many changes.
    pub(super) async fn renewed(&self, since: u64) -> Failure {
        let mut renewals = self.renewals.subscribe();
        // The sender is here, so that this cannot end with an error.
        drop(renewals.wait_for(|now| *now != since).await);
        Failure::unavailable(
            "events.kafka.renewed",
            "the login at the brokers changed; what was under way begins again",
        )
    }

    /// Takes another login or other certificates.
    pub(crate) fn reload(self: &Arc<Self>) -> Reload {
        let access = self.clone();
        let keys = &[
            "kafka.tls_ca",
            "kafka.tls_certificate",
            "kafka.tls_key",
            "kafka.username",
            "kafka.password",
        ];
        Reload::new(keys, move |config: EventsConfig| {
            let access = access.clone();
            Box::pin(async move { access.change_to(config.kafka).await })
        })
    }

    async fn change_to(self: Arc<Self>, new: KafkaConfig) -> Result<Change, Vec<ConfigFault>> {
        let KafkaConfig { tls_ca, tls_certificate, tls_key, username, password, .. } = new;
        let current = self.config.read().clone();
        let differs = [
            ("kafka.tls_ca", tls_ca != current.tls_ca),
            ("kafka.tls_certificate", tls_certificate != current.tls_certificate),
            ("kafka.tls_key", tls_key.expose() != current.tls_key.expose()),
            ("kafka.username", username != current.username),
            ("kafka.password", password.expose() != current.password.expose()),
        ];
        let mut changed = differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key);
        let Some(first) = changed.next() else { return Ok(Change::none()) };
        // Everything else stays as it was at the start.
        let config =
            KafkaConfig { tls_ca, tls_certificate, tls_key, username, password, ..current };
        let tried = config.clone();
        let tried = tokio::task::spawn_blocking(move || refusal(&tried)).await;
        if let Some(reason) = tried.unwrap_or_else(|crash| Some(crash.to_string())) {
            let detail = format!("the brokers refuse it ({reason}); change it there first");
            return Err(vec![ConfigFault::new(first, detail)]);
        }
        let make = move || {
            *self.config.write() = config;
            self.renewals.send_modify(|count| *count += 1);
        };
        Ok(changed.fold(Change::none().of(first, make), |change, key| change.of(key, || {})))
    }
}

/// Why the brokers let nobody in who comes so; brokers that are away refuse nobody.
fn refusal(config: &KafkaConfig) -> Option<String> {
    let trial: Result<BaseProducer<Trial>, KafkaError> =
        BaseProducer::from_config_and_context(&settings(config), Trial::default());
    let producer = match trial {
        Ok(producer) => producer,
        Err(error) => return Some(error.to_string()),
    };
    if producer.client().fetch_metadata(Some(&config.topic_prefix), TRY_WITHIN).is_ok() {
        return None;
    }
    producer.poll(POLL);
    producer.context().refusal.lock().take()
}

/// Hears why a client is not let in.
#[derive(Default)]
struct Trial {
    refusal: Mutex<Option<String>>,
}

impl ClientContext for Trial {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, text, "kafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if matches!(code, Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)) {
            *self.refusal.lock() = Some(reason.to_owned());
        }
    }
}

impl rdkafka::producer::ProducerContext for Trial {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &rdkafka::producer::DeliveryResult<'_>, _opaque: ()) {}
}
