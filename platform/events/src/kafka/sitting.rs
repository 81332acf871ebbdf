//! A sitting of a member: a consumer in the group, and the messages in hand.
//!
//! Messages go to the lanes by their key, those that are there at the same time together. While a partition
//! has too many in hand nothing more is taken; one that stays so is paused, so that the others go on, and
//! resumed when half of them are done. Pausing is dear: the client throws away what it has read ahead and
//! reads it again. A message that is not due yet pauses its partition until it is done.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{Consumer, MessageStream, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};
use troupe_actors::{Scope, ServiceRef, Shards};
use troupe_kernel::{Event, Failure};

use super::Kafka;
use super::client::Watch;
use super::cloud_event;
use super::ears::Ears;
use super::group::Group;
use super::lane::{Deliver, LANE_CAPACITY, LaneMessage, Mail};
use super::ledger::{Ledger, Partition, Ticket};
use super::letter::Letter;
use crate::consumer::Worker;

/// How often a member says that it lives.
const HEARTBEAT_MAX: Duration = Duration::from_secs(3);
/// Messages that are taken together.
const TOGETHER_MAX: usize = 64;
/// How long everything waits for a partition that has too much in hand.
const PATIENCE: Duration = Duration::from_millis(50);
/// Offsets of a partition that are noted while an earlier message is in hand.
const NOTED_MAX: usize = 10_000;
/// A delivery has this much time beside what the outage of its service may take.
const LANE_MARGIN: Duration = Duration::from_secs(600);
/// Looks whether a consumer is used no more, before it leaves its group.
const LOOKS_MAX: u32 = 100;
const LOOK: Duration = Duration::from_millis(10);

type Work = Pin<Box<dyn Future<Output = (Vec<Ticket>, Result<(), Failure>)> + Send>>;

/// A consumer that is a member of its group until it is dropped, which waits for the brokers.
#[derive(Clone)]
pub(super) struct Seat {
    consumer: Option<Arc<StreamConsumer<Ears>>>,
}

impl Seat {
    /// Leaves the group, so that others take over at once.
    pub(super) async fn leave(mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        // The sitting was told to end and lets go of it in a moment.
        for _ in 0..LOOKS_MAX {
            if Arc::strong_count(&consumer) == 1 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        if let Err(error) = tokio::task::spawn_blocking(move || drop(consumer)).await {
            tracing::debug!(%error, "a consumer did not end in order");
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(consumer)));
        }
    }
}

/// Takes part in the group until something fails or the access to the brokers changes, and answers what.
pub(super) async fn sit(
    group: &Arc<Group>,
    lanes: &Shards<LaneMessage>,
    seat: &Mutex<Option<Seat>>,
) -> Failure {
    let Kafka { access, aside, .. } = &*group.kafka;
    let renewed = access.renewed(access.renewal());
    let number = group.sittings.begin();
    let failure = tokio::select! {
        failure = take_part(group, lanes, seat, number) => failure,
        failure = renewed => {
            aside.discard_outdated();
            failure
        }
    };
    group.sittings.end(number);
    failure
}

async fn take_part(
    group: &Arc<Group>,
    lanes: &Shards<LaneMessage>,
    seat: &Mutex<Option<Seat>>,
    number: u64,
) -> Failure {
    let taken = match join(group).await {
        Ok(taken) => taken,
        Err(failure) => return failure,
    };
    *seat.lock() = Some(taken.clone());
    let Some(consumer) = taken.consumer.as_ref() else { unreachable!("it was just taken") };
    let mut sitting = Sitting {
        group,
        lanes,
        consumer,
        number,
        ledger: Ledger::default(),
        work: FuturesUnordered::new(),
        full: None,
        topics: Vec::new(),
        batches: Vec::new(),
        passed: Vec::new(),
        scope: Scope::system("events.lane", LANE_MARGIN),
    };
    sitting.run().await
}

/// Makes a consumer that joins the group.
async fn join(group: &Group) -> Result<Seat, Failure> {
    let owners = group.owner_topics();
    let mut topics: BTreeSet<String> = owners.iter().flatten().cloned().collect();
    topics.extend([group.retry_topic(), group.dead_topic()]);
    group.kafka.topics.ensure(&topics).await?;
    let config = &group.kafka.config;
    let heartbeat = HEARTBEAT_MAX.min(config.session_timeout / 10);
    let mut client = group.kafka.access.settings();
    client
        .set("group.id", group.id())
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        // Only what is done is stored, and only what is stored is committed.
        .set("enable.auto.offset.store", "false")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", config.session_timeout.as_millis().to_string())
        .set("heartbeat.interval.ms", heartbeat.as_millis().to_string())
        .set("queued.min.messages", "1000")
        // Short: a partition that is resumed waits for a fetch that waits for others.
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "50")
        .set("queued.max.messages.kbytes", "16384");
    let ears = Ears {
        watch: Watch::new(&group.kafka.condition),
        consumer: group.reader.name().to_owned(),
        lag: group.kafka.lag_of(group.reader.name()),
        revoked: Mutex::default(),
    };
    let failed = |error: KafkaError| {
        Failure::unavailable("events.kafka.group", format!("the group cannot be joined: {error}"))
    };
    let consumer: StreamConsumer<Ears> =
        StreamConsumer::from_config_and_context(&client, ears).map_err(failed)?;
    let mut names: Vec<String> = owners.iter().flatten().cloned().collect();
    if owners.contains(&None) {
        // All topics of modules: one segment behind the prefix.
        names = vec![format!("^{}\\.[^.]+$", config.topic_prefix.replace('.', "\\."))];
    }
    names.push(group.retry_topic());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    consumer.subscribe(&names).map_err(failed)?;
    Ok(Seat { consumer: Some(Arc::new(consumer)) })
}

/// What goes to a lane in one message.
struct Batch<'a> {
    lane: &'a ServiceRef<LaneMessage>,
    tickets: Vec<Ticket>,
    mail: Vec<Mail>,
}

struct Sitting<'a> {
    group: &'a Arc<Group>,
    lanes: &'a Shards<LaneMessage>,
    consumer: &'a Arc<StreamConsumer<Ears>>,
    number: u64,
    ledger: Ledger,
    work: FuturesUnordered<Work>,
    /// A partition that has too much in hand, and until when everything waits for it.
    full: Option<(Partition, Instant)>,
    /// The names of topics that messages came from.
    topics: Vec<Arc<str>>,
    /// What was taken and is not on its way yet.
    batches: Vec<Batch<'a>>,
    /// Messages that were taken and are not for this group.
    passed: Vec<Ticket>,
    /// For the lanes; a deadline of its own for each message.
    scope: Scope,
}

impl Sitting<'_> {
    async fn run(&mut self) -> Failure {
        let consumer = self.consumer.clone();
        let mut messages = consumer.stream();
        loop {
            // Events that nobody asked for are done at once: the runtime and the end must get a turn.
            consume_budget().await;
            let patience = self.full.as_ref().map(|(_, until)| *until);
            let went_on = tokio::select! {
                biased;
                Some((tickets, result)) = self.work.next() => result.map(|()| self.done(&tickets)),
                Some(first) = messages.next(), if patience.is_none() => {
                    self.receive(first, &mut messages)
                }
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                    self.lose_patience();
                    Ok(())
                }
            };
            if let Err(failure) = went_on {
                return failure;
            }
        }
    }

    /// Takes a message and those that are there already. Each is taken before it is asked for the next:
    /// meanwhile a partition may go to another member.
    fn receive(
        &mut self,
        first: Result<BorrowedMessage<'_>, KafkaError>,
        messages: &mut MessageStream<'_, Ears>,
    ) -> Result<(), Failure> {
        let (mut next, mut taken) = (Some(first), 0);
        while let Some(message) = next {
            self.hear(message)?;
            taken += 1;
            let goes_on = taken < TOGETHER_MAX && self.full.is_none();
            next = if goes_on { messages.next().now_or_never().flatten() } else { None };
        }
        self.send_batches();
        let passed = std::mem::take(&mut self.passed);
        self.done(&passed);
        Ok(())
    }

    fn hear(&mut self, message: Result<BorrowedMessage<'_>, KafkaError>) -> Result<(), Failure> {
        match message {
            Ok(message) => self.take(&message),
            Err(KafkaError::MessageConsumptionFatal(code)) => {
                return Err(Failure::unavailable(
                    "events.kafka.group",
                    format!("the group was left: {code}"),
                ));
            }
            // Said once for all clients of the node, and shown by the check `kafka` while it lasts.
            Err(error) if means_away(&error) => {
                tracing::debug!(consumer = self.group.reader.name(), %error, "a group waits for the brokers");
            }
            Err(error) => {
                tracing::warn!(consumer = self.group.reader.name(), %error, "a group could not read; it goes on by itself");
            }
        }
        Ok(())
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        self.forget_revoked();
        let partition =
            Partition { topic: self.topic(message.topic()), number: message.partition() };
        let ticket = self.ledger.begin(partition.clone(), message.offset());
        let decoded = cloud_event::decode(message);
        let takes = |event: &Event| self.group.reader.subscription.takes(&event.kind);
        if decoded.as_ref().is_ok_and(|event| !takes(event)) {
            self.passed.push(ticket);
            return self.hold_back(&partition, Duration::ZERO);
        }
        let letter = Letter::of(message);
        let wait = letter.wait(self.group.reader.db.clock().now());
        match decoded {
            Ok(event) if wait.is_zero() => self.batch(ticket, Mail { event, letter }),
            Ok(event) => self.send_later(ticket, Mail { event, letter }, wait),
            Err(failure) => self.bury(ticket, letter, failure),
        }
        self.hold_back(&partition, wait);
    }

    fn topic(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.topics.iter().find(|known| &***known == name) {
            return known.clone();
        }
        let topic: Arc<str> = name.into();
        self.topics.push(topic.clone());
        topic
    }

    /// Takes nothing more while enough of a partition is in hand. One whose next message must wait is
    /// paused at once.
    fn hold_back(&mut self, partition: &Partition, wait: Duration) {
        if !wait.is_zero() {
            self.pause(partition, true);
        } else if self.is_full(partition) {
            self.full = Some((partition.clone(), Instant::now() + PATIENCE));
        }
    }

    fn is_full(&self, partition: &Partition) -> bool {
        let lanes_hold = (LANE_CAPACITY - TOGETHER_MAX) / self.ledger.partitions().max(1);
        let in_hand_max = self.group.reader.config.batch_max.min(lanes_hold).max(1);
        self.ledger.in_hand(partition) >= in_hand_max || self.ledger.noted(partition) >= NOTED_MAX
    }

    /// The others need not wait for a partition that gets nothing done.
    fn lose_patience(&mut self) {
        if let Some((partition, _)) = self.full.take() {
            self.pause(&partition, true);
        }
    }

    /// Puts an event behind those that go to the lane of its key.
    fn batch(&mut self, ticket: Ticket, mail: Mail) {
        let lane = self.lanes.by(mail.event.subject.as_str());
        if let Some(batch) = self.batches.iter_mut().find(|batch| ptr::eq(batch.lane, lane)) {
            batch.tickets.push(ticket);
            batch.mail.push(mail);
        } else {
            self.batches.push(Batch { lane, tickets: vec![ticket], mail: vec![mail] });
        }
    }

    /// Sends what was taken, before anything else is: the order of a key is that of its lane.
    fn send_batches(&mut self) {
        for Batch { lane, tickets, mail } in std::mem::take(&mut self.batches) {
            let scope = self.scope.detached(self.within(mail.len()));
            let (port, answer) = lane.open::<()>(&scope);
            lane.send(&scope, Deliver { sitting: self.number, mail }.into(), port);
            self.work.push(Box::pin(async move { (tickets, answer.await.result) }));
        }
    }

    /// Sends an event that is not due yet to the lane of its key when it is.
    fn send_later(&self, ticket: Ticket, mail: Mail, wait: Duration) {
        let lane = self.lanes.by(mail.event.subject.as_str()).clone();
        let deliver = Deliver { sitting: self.number, mail: vec![mail] };
        let scope = self.scope.detached(wait + self.within(1));
        self.work.push(Box::pin(async move {
            tokio::time::sleep(wait).await;
            (vec![ticket], lane.ask(&scope, deliver).await)
        }));
    }

    /// How long so many deliveries may take, when the service is away at each.
    fn within(&self, deliveries: usize) -> Duration {
        let deliveries = u32::try_from(deliveries).unwrap_or(u32::MAX);
        self.group.reader.config.outage_max.saturating_mul(deliveries).saturating_add(LANE_MARGIN)
    }

    fn bury(&self, ticket: Ticket, letter: Letter, failure: Failure) {
        let group = self.group.clone();
        self.work.push(Box::pin(async move {
            let buried = group.bury(&letter, &failure).await;
            (vec![ticket], buried)
        }));
    }

    fn done(&mut self, tickets: &[Ticket]) {
        self.forget_revoked();
        let mut partitions: Vec<(&Partition, Option<i64>)> = Vec::new();
        for ticket in tickets {
            let reached = self.ledger.end(ticket);
            match partitions.iter_mut().find(|(partition, _)| *partition == &ticket.partition) {
                Some((_, offset)) => *offset = reached.or(*offset),
                None => partitions.push((&ticket.partition, reached)),
            }
        }
        for (partition, reached) in partitions {
            if let Some(offset) = reached {
                self.store(partition, offset);
            }
            if self.ledger.in_hand(partition) <= self.group.reader.config.batch_max / 2
                && self.ledger.noted(partition) <= NOTED_MAX / 2
            {
                self.pause(partition, false);
            }
        }
        if self.full.as_ref().is_some_and(|(partition, _)| !self.is_full(partition)) {
            self.full = None;
        }
    }

    fn store(&self, partition: &Partition, offset: i64) {
        let Partition { topic, number } = partition;
        if let Err(error) = self.consumer.store_offset(topic, *number, offset) {
            tracing::debug!(%topic, partition = number, %error, "an offset was not stored; the message comes again elsewhere");
        }
    }

    fn pause(&mut self, partition: &Partition, paused: bool) {
        if !self.ledger.pause(partition, paused) {
            return;
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.number);
        let changed = match paused {
            true => self.consumer.pause(&list),
            false => self.consumer.resume(&list),
        };
        if let Err(error) = changed {
            tracing::debug!(topic = %partition.topic, partition = partition.number, %error, paused,
                "a partition went to another member");
        }
    }

    fn forget_revoked(&mut self) {
        for partition in std::mem::take(&mut *self.consumer.context().revoked.lock()) {
            self.ledger.forget(&partition);
        }
    }
}

/// Whether it only says that a broker does not answer: each client says so about every second.
fn means_away(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_from_what_a_group_must_say() {
        let away = |code| means_away(&KafkaError::MessageConsumption(code));
        assert!(away(RDKafkaErrorCode::AllBrokersDown));
        assert!(away(RDKafkaErrorCode::BrokerTransportFailure));
        assert!(!away(RDKafkaErrorCode::TopicAuthorizationFailed));
        assert!(!away(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
}
