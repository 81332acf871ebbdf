//! One subscription as a consumer group: what its member and its lanes in a node share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use troupe_actors::{ChildSpec, Shards, Strategy, Supervisor, System};
use troupe_kernel::{Event, Failure};

use super::Kafka;
use super::lane::{Lane, LaneMessage};
use super::letter::{Cause, Letter};
use super::member::Member;
use super::publisher::{Record, Refusal};
use crate::consumer::Worker;
use crate::dead_letters;
use crate::turn::Reader;

/// Restarts of the actors of a group before the whole bus is restarted.
const RESTARTS_MAX: u32 = 10;
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);
/// A retry does not wait longer.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What the actors of a group share.
pub(crate) struct Group {
    pub(super) reader: Reader,
    pub(super) kafka: Arc<Kafka>,
    pub(super) sittings: Sittings,
}

/// Which sitting of the member is the one whose messages are delivered.
#[derive(Default)]
pub(super) struct Sittings(AtomicU64);

impl Sittings {
    /// Begins one; messages of earlier ones are not delivered any more.
    pub(super) fn begin(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Ends one: none of its messages is delivered any more. Those behind one that failed come again
    /// after it.
    pub(super) fn end(&self, sitting: u64) {
        self.0.fetch_max(sitting + 1, Ordering::AcqRel);
    }

    pub(super) fn is_current(&self, sitting: u64) -> bool {
        self.0.load(Ordering::Acquire) == sitting
    }
}

impl Group {
    /// The actors of a subscription: its member, and as many lanes as it may deliver at the same time.
    pub(crate) fn spec(system: &System, reader: Reader, kafka: &Arc<Kafka>) -> ChildSpec {
        let (name, count) = (reader.name().to_owned(), reader.config.concurrency);
        let group = Arc::new(Self { reader, kafka: kafka.clone(), sittings: Sittings::default() });
        let lane = |number: usize| Lane::spec(system, &format!("lane-{number}"), &group);
        let (lanes, children): (Vec<_>, Vec<ChildSpec>) = (1..=count).map(lane).unzip();
        let lanes: Shards<LaneMessage> = Shards::new(lanes);
        Supervisor::new(system, name)
            .strategy(Strategy::OneForOne)
            .intensity(RESTARTS_MAX, RESTARTS_WITHIN)
            .children(children)
            .child(Member::spec(system, &group, lanes))
            .into_spec()
    }

    /// The group's name for the brokers.
    pub(super) fn id(&self) -> String {
        format!("{}.{}", self.kafka.config.topic_prefix, self.reader.name())
    }

    pub(super) fn retry_topic(&self) -> String {
        format!("{}.retry.{}", self.kafka.config.topic_prefix, self.reader.name())
    }

    pub(super) fn dead_topic(&self) -> String {
        format!("{}.dead.{}", self.kafka.config.topic_prefix, self.reader.name())
    }

    /// The topics of the modules whose events it takes; none stands for the topics of all.
    pub(super) fn owner_topics(&self) -> BTreeSet<Option<String>> {
        let owner = |pattern: &String| match pattern.split('.').next() {
            None | Some("*") => None,
            Some(_) => Some(self.kafka.topics.of_kind(pattern)),
        };
        self.reader.subscription.patterns().iter().map(owner).collect()
    }

    /// Delivers an event; one that cannot be applied now is set aside.
    ///
    /// # Errors
    /// When it could be neither applied nor set aside.
    pub(super) async fn deliver(&self, event: &Event, letter: &Letter) -> Result<(), Failure> {
        let reader = &self.reader;
        let Err(given_up) = reader.deliver_in_place(event, letter.attempts).await else {
            return Ok(());
        };
        let cause = Cause {
            failure: &given_up.failure,
            attempts: given_up.attempts,
            at: reader.db.clock().now(),
        };
        let config = &self.kafka.config;
        if !given_up.is_hopeless && letter.retries < config.retries_max {
            let factor = 2_u32.saturating_pow(letter.retries);
            let wait = config.retry_wait.saturating_mul(factor).min(RETRY_WAIT_MAX);
            tracing::warn!(consumer = reader.name(), event = %event.id, failure = %given_up.failure, ?wait,
                "an event goes to the retry topic");
            metrics::counter!("events_kafka_retries_total", "consumer" => reader.name().to_owned())
                .increment(1);
            return self.send(letter.retried(self.retry_topic(), &cause, wait)).await;
        }
        self.send(letter.buried(self.dead_topic(), &cause)).await?;
        let attempts = given_up.attempts;
        let failure = &given_up.failure;
        dead_letters::give_up(&reader.db, reader.name(), event.clone(), attempts, failure).await
    }

    /// Keeps a message that is no event in the dead-letter topic, as it is.
    ///
    /// # Errors
    /// When the topic does not take it.
    pub(super) async fn bury(&self, letter: &Letter, failure: &Failure) -> Result<(), Failure> {
        let Letter { topic, partition, offset, .. } = letter;
        tracing::error!(consumer = self.reader.name(), topic, partition, offset, %failure, "a message is no event and is kept in the dead-letter topic");
        let consumer = self.reader.name().to_owned();
        metrics::counter!("events_kafka_malformed_total", "consumer" => consumer).increment(1);
        let cause = Cause { failure, attempts: 0, at: self.reader.db.clock().now() };
        self.send(letter.buried(self.dead_topic(), &cause)).await
    }

    async fn send(&self, record: Record<'_>) -> Result<(), Failure> {
        let topic = record.topic.clone();
        match self.kafka.aside.send(record).await {
            Ok(()) => Ok(()),
            // Not even the topic for what fails takes it: the row of the dead letter remains.
            Err(Refusal::Message(failure)) => {
                tracing::error!(%topic, %failure, "a message could not be set aside");
                Ok(())
            }
            Err(Refusal::Kafka(failure)) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sitting_is_current_from_its_beginning_to_its_end_or_the_next() {
        let sittings = Sittings::default();
        let first = sittings.begin();
        assert!(sittings.is_current(first));
        sittings.end(first);
        assert!(!sittings.is_current(first));
        let second = sittings.begin();
        assert!(sittings.is_current(second) && !sittings.is_current(first));
        sittings.end(first);
        assert!(sittings.is_current(second), "the first had ended before");
        let third = sittings.begin();
        assert!(sittings.is_current(third) && !sittings.is_current(second));
    }
}
