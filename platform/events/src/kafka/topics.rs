//! The names of topics and groups, and making topics that are missing.
//!
//! Events of a module are in the topic `PREFIX.OWNER`. A subscription is the group `PREFIX.NAME` and has
//! two topics of its own: `PREFIX.retry.NAME` and `PREFIX.dead.NAME`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;
use troupe_kernel::Failure;

use super::access::Access;
use super::client::Watch;
use super::condition::Condition;
use crate::kafka_config::KafkaConfig;

/// How long making topics may take.
const MAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The topics of this node.
pub(crate) struct Topics {
    config: KafkaConfig,
    access: Arc<Access>,
    condition: Arc<Condition>,
    known: Mutex<BTreeSet<String>>,
}

impl Topics {
    pub(super) fn new(
        config: &KafkaConfig,
        access: &Arc<Access>,
        condition: &Arc<Condition>,
    ) -> Self {
        let (config, access, condition) = (config.clone(), access.clone(), condition.clone());
        Self { config, access, condition, known: Mutex::default() }
    }

    /// The topic of events of this kind: that of the module which owns them.
    pub(crate) fn of_kind(&self, kind: &str) -> String {
        let owner = kind.split('.').next().unwrap_or_default();
        format!("{}.{owner}", self.config.topic_prefix)
    }

    /// Makes sure that these topics are there.
    ///
    /// # Errors
    /// When the brokers do not answer or refuse one of them.
    pub(crate) async fn ensure(&self, names: &BTreeSet<String>) -> Result<(), Failure> {
        let missing: Vec<String> = {
            let known = self.known.lock();
            names.difference(&known).cloned().collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        if self.config.provision {
            self.make(&missing).await?;
        }
        self.known.lock().extend(missing);
        Ok(())
    }

    /// Forgets which topics are there, after one was missing.
    pub(crate) fn forget(&self) {
        self.known.lock().clear();
    }

    async fn make(&self, names: &[String]) -> Result<(), Failure> {
        let watch = Watch::new(&self.condition);
        let settings = self.access.settings();
        let failed = |error: KafkaError| unavailable(&error.to_string());
        let admin: AdminClient<Watch> =
            AdminClient::from_config_and_context(&settings, watch.clone()).map_err(failed)?;
        // An administrator keeps to itself why the brokers do not answer; a producer beside it tells.
        let teller: FutureProducer<Watch> =
            FutureProducer::from_config_and_context(&settings, watch).map_err(failed)?;
        let keep = self.config.keep.as_millis().to_string();
        let bytes_max = self.config.message_bytes_max.to_string();
        let replication = match self.config.replication {
            0 => -1,
            copies => copies,
        };
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            .map(|name| {
                let replication = TopicReplication::Fixed(replication);
                NewTopic::new(name, self.config.partitions, replication)
                    .set("retention.ms", &keep)
                    .set("max.message.bytes", &bytes_max)
            })
            .collect();
        let options = AdminOptions::new()
            .request_timeout(Some(MAKE_TIMEOUT))
            .operation_timeout(Some(MAKE_TIMEOUT));
        let clients = Clients(Some((admin, teller)));
        let results =
            match tokio::time::timeout(2 * MAKE_TIMEOUT, clients.make(&topics, &options)).await {
                Ok(Ok(results)) => results,
                Ok(Err(error)) => return Err(unavailable(&error.to_string())),
                Err(_) => return Err(unavailable("no answer in time")),
            };
        for result in results {
            match result {
                Ok(name) => tracing::info!(topic = name, "a topic was made"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    return Err(Failure::unavailable(
                        "events.kafka.topic",
                        format!(
                            "the topic {name} cannot be made: {code}; make it with {} partitions, or \
                             allow this user to",
                            self.config.partitions
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// An administrator and who tells of it. Their threads end without holding up the one that lets go of them.
struct Clients(Option<(AdminClient<Watch>, FutureProducer<Watch>)>);

impl Clients {
    async fn make(
        &self,
        topics: &[NewTopic<'_>],
        options: &AdminOptions,
    ) -> Result<Vec<TopicResult>, KafkaError> {
        match &self.0 {
            Some((admin, _)) => admin.create_topics(topics, options).await,
            None => Err(KafkaError::Canceled),
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let clients = self.0.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(clients)));
        }
    }
}

/// Nobody answers.
fn unavailable(reason: &str) -> Failure {
    Failure::unavailable("events.kafka.away", format!("Kafka does not answer: {reason}"))
}
