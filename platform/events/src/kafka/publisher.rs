//! The producer: messages of one key reach their partition in the order in which they were added.
//!
//! It is idempotent and never gives up by itself: a message that failed while a later one of its
//! partition arrived would break the order. Whoever loses patience makes it anew, and adds everything
//! again from the first message that was not acknowledged.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use troupe_kernel::{Event, Failure};

use super::access::Access;
use super::client::Watch;
use super::cloud_event;
use super::condition::Condition;
use crate::kafka_config::KafkaConfig;
use crate::log::Line;

/// Between two looks whether a full queue has room.
const QUEUE_WAIT: Duration = Duration::from_millis(5);
/// Batches that the queue of the client has room for.
const QUEUE_BATCHES: usize = 2;

/// A message on its way out.
pub(crate) struct Record<'a> {
    pub(crate) topic: Arc<str>,
    pub(crate) key: &'a [u8],
    pub(crate) headers: OwnedHeaders,
    pub(crate) payload: Cow<'a, [u8]>,
    /// When it happened, in milliseconds since the epoch.
    pub(crate) time_ms: i64,
}

impl<'a> Record<'a> {
    /// An event for a topic; its subject is the key.
    pub(crate) fn of(event: &'a Event, topic: Arc<str>) -> Self {
        Self::with(event, event.data.to_string().into_bytes().into(), topic)
    }

    /// The same of a line of the log, whose data goes on as it is.
    pub(crate) fn of_line(line: &'a Line, topic: Arc<str>) -> Self {
        Self::with(&line.head, line.data.as_bytes().into(), topic)
    }

    fn with(head: &'a Event, payload: Cow<'a, [u8]>, topic: Arc<str>) -> Self {
        Self {
            topic,
            key: head.subject.as_bytes(),
            headers: cloud_event::headers(head),
            payload,
            time_ms: head.time.as_micros().div_euclid(1_000),
        }
    }
}

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// This message never will be.
    Message(Failure),
    /// Another attempt may help.
    Kafka(Failure),
}

/// The producer of this node, made when it is first needed.
pub(crate) struct Publisher {
    access: Arc<Access>,
    condition: Arc<Condition>,
    queue: usize,
    message_bytes_max: u64,
    producer: Mutex<Option<Made>>,
}

/// A producer, and how often the access to the brokers had changed before.
#[derive(Clone)]
struct Made {
    producer: Arc<FutureProducer<Watch>>,
    renewal: u64,
}

impl Publisher {
    pub(super) fn new(
        config: &KafkaConfig,
        access: &Arc<Access>,
        condition: &Arc<Condition>,
    ) -> Self {
        Self {
            access: access.clone(),
            condition: condition.clone(),
            queue: config.publish_batch_max * QUEUE_BATCHES,
            message_bytes_max: config.message_bytes_max,
            producer: Mutex::new(None),
        }
    }

    /// Begins to connect, so that the first message waits less.
    pub(crate) fn connect(&self) {
        if let Err(error) = self.made() {
            tracing::debug!(%error, "a producer could not be made; the first message tells");
        }
    }

    /// Puts a message behind those that were added before; waits while the queue is full. The future
    /// ends when all replicas in sync have it.
    pub(crate) async fn add(&self, record: Record<'_>) -> Result<DeliveryFuture, Refusal> {
        let made = self.made().map_err(|error| refusal(&error))?;
        add(&made.producer, record).await
    }

    /// Sends a message whose order among others does not count, with the present access to the brokers.
    pub(crate) async fn send(&self, record: Record<'_>) -> Result<(), Refusal> {
        self.discard_outdated();
        let made = self.made().map_err(|error| refusal(&error))?;
        let sent = async { self.landed(add(&made.producer, record).await?).await };
        let sent = tokio::select! {
            biased;
            sent = sent => sent,
            failure = self.access.renewed(made.renewal) => Err(Refusal::Kafka(failure)),
        };
        if let Err(Refusal::Kafka(_)) = &sent {
            self.discard(|other| Arc::ptr_eq(&made.producer, &other.producer));
            end(made);
        }
        sent
    }

    /// Waits until a message that was added is safe.
    pub(crate) async fn landed(&self, delivery: DeliveryFuture) -> Result<(), Refusal> {
        match delivery.await {
            Ok(Ok(_)) => {
                self.condition.is_there();
                Ok(())
            }
            Ok(Err((error, _))) => Err(refusal(&error)),
            Err(_) => Err(refusal(&KafkaError::Canceled)),
        }
    }

    /// Whether its producer was made before the access to the brokers changed.
    pub(crate) fn is_outdated(&self) -> bool {
        let made = self.producer.lock();
        made.as_ref().is_some_and(|made| made.renewal != self.access.renewal())
    }

    /// Forgets a producer that was made before the access to the brokers changed, and what it has.
    pub(crate) fn discard_outdated(&self) {
        self.discard(|made| made.renewal != self.access.renewal());
    }

    fn discard(&self, which: impl FnOnce(&Made) -> bool) {
        let made = self.producer.lock().take_if(|made| which(made));
        made.into_iter().for_each(end);
    }

    /// Waits until it is outdated.
    pub(crate) async fn renewed(&self) -> Failure {
        let renewal = self.producer.lock().as_ref().map(|made| made.renewal);
        self.access.renewed(renewal.unwrap_or_else(|| self.access.renewal())).await
    }

    /// Forgets what was added and not acknowledged; the next message makes a producer anew.
    pub(crate) async fn reset(&self) {
        let Some(made) = self.producer.lock().take() else { return };
        // Its threads end in a moment, and dropping it waits for them.
        let ended = tokio::task::spawn_blocking(move || drop(made)).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "a producer did not end in order");
        }
    }

    fn made(&self) -> Result<Made, KafkaError> {
        let mut kept = self.producer.lock();
        if let Some(made) = &*kept {
            return Ok(made.clone());
        }
        let renewal = self.access.renewal();
        let watch = Watch::new(&self.condition);
        let producer = FutureProducer::from_config_and_context(&self.settings(), watch)?;
        let made = Made { producer: Arc::new(producer), renewal };
        *kept = Some(made.clone());
        Ok(made)
    }

    fn settings(&self) -> ClientConfig {
        let mut settings = self.access.settings();
        settings
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("compression.type", "zstd")
            .set("message.max.bytes", self.message_bytes_max.to_string())
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.messages", self.queue.to_string())
            // As clients of Java divide keys, so that theirs meet ours.
            .set("partitioner", "murmur2_random");
        settings
    }
}

/// Puts a message behind those that were added before; waits while the queue is full.
async fn add(
    producer: &FutureProducer<Watch>,
    record: Record<'_>,
) -> Result<DeliveryFuture, Refusal> {
    let Record { topic, key, headers, payload, time_ms } = record;
    let mut next =
        FutureRecord::to(&topic).key(key).payload(&*payload).timestamp(time_ms).headers(headers);
    loop {
        match producer.send_result(next) {
            Ok(delivery) => return Ok(delivery),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                next = back;
                metrics::counter!("events_kafka_queue_full_total").increment(1);
                tokio::time::sleep(QUEUE_WAIT).await;
            }
            Err((error, _)) => return Err(refusal(&error)),
        }
    }
}

/// Lets go of a producer without waiting for its threads.
fn end(made: Made) {
    drop(tokio::task::spawn_blocking(move || drop(made)));
}

fn refusal(error: &KafkaError) -> Refusal {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp,
        ) => Refusal::Message(Failure::invalid(
            "events.kafka.message",
            format!("Kafka never takes this message: {error}; see events.kafka.message_bytes_max"),
        )),
        _ => Refusal::Kafka(Failure::unavailable(
            "events.kafka.refused",
            format!("Kafka did not take a message: {error}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_waited_for() {
        // Nobody listens there, so that nothing leaves the queue.
        let config = KafkaConfig {
            brokers: "127.0.0.1:1".to_owned(),
            publish_batch_max: 1,
            ..KafkaConfig::default()
        };
        let (access, condition) = (Access::new(&config), Condition::new(&config));
        let publisher = Publisher::new(&config, &Arc::new(access), &Arc::new(condition));
        let event = Event::new("test.counted", "a", &1);
        let record = || Record::of(&event, "test".into());
        for _ in 0..QUEUE_BATCHES {
            publisher.add(record()).await.expect("there is room");
        }
        let waited = tokio::time::timeout(20 * QUEUE_WAIT, publisher.add(record())).await;
        assert!(waited.is_err(), "there is no room, and that is no failure");
        publisher.reset().await;
        publisher.add(record()).await.expect("there is room again");
    }

    #[test]
    fn only_what_a_message_is_to_blame_for_is_its_fault() {
        let produced = |code| refusal(&KafkaError::MessageProduction(code));
        let size = produced(RDKafkaErrorCode::MessageSizeTooLarge);
        assert!(
            matches!(size, Refusal::Message(failure) if failure.code() == "events.kafka.message")
        );
        let rights = produced(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert!(matches!(rights, Refusal::Kafka(failure) if failure.kind().is_transient()));
    }
}
