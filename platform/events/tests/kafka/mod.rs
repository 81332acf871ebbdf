//! What only Kafka has: topics, keys, headers, and what happens when it is away.

mod aside;
mod backlog;
mod broker;
mod outage;
mod relay;
mod secured;
mod stuck;

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use troupe_events::KafkaConfig;

const READ_WITHIN: Duration = Duration::from_secs(60);

/// The name of a topic of this test.
pub(crate) fn topic(kafka: &KafkaConfig, name: &str) -> String {
    format!("{}.{name}", kafka.topic_prefix)
}

/// Reads a topic from its beginning until `count` messages came, and a moment longer.
pub(crate) async fn messages(kafka: &KafkaConfig, name: &str, count: usize) -> Vec<OwnedMessage> {
    let (kafka, topic) = (kafka.clone(), topic(kafka, name));
    let read = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &kafka.brokers)
            .set("group.id", format!("{}.reader", kafka.topic_prefix))
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut partitions = TopicPartitionList::new();
        for number in 0..kafka.partitions {
            partitions.add_partition_offset(&topic, number, Offset::Beginning).unwrap();
        }
        consumer.assign(&partitions).unwrap();
        let mut found = Vec::new();
        let began = Instant::now();
        while began.elapsed() < READ_WITHIN {
            // What came too much would come in this time.
            let wait = Duration::from_millis(if found.len() < count { 200 } else { 1_000 });
            match consumer.poll(wait) {
                Some(Ok(message)) => found.push(message.detach()),
                Some(Err(_)) => {}
                None if found.len() >= count => break,
                None => {}
            }
        }
        found
    });
    read.await.unwrap()
}

/// Sends a message as somebody else would.
pub(crate) async fn send(kafka: &KafkaConfig, name: &str, headers: &[(&str, &str)], text: &str) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
        all.insert(Header { key, value: Some(*value) })
    });
    let topic = topic(kafka, name);
    let record = FutureRecord::to(&topic).key("a").payload(text).headers(headers);
    producer.send(record, READ_WITHIN).await.unwrap();
}

/// A header as text.
pub(crate) fn header(message: &OwnedMessage, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let value = headers.iter().find(|header| header.key == name)?.value?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

pub(crate) fn key(message: &OwnedMessage) -> String {
    String::from_utf8(message.key().unwrap().to_vec()).unwrap()
}

/// The numbers that events of a subject carry, in the order of their partition.
pub(crate) fn numbers(messages: &[OwnedMessage], subject: &str) -> Vec<i64> {
    let mut own: Vec<&OwnedMessage> =
        messages.iter().filter(|message| key(message) == subject).collect();
    own.sort_by_key(|message| (message.partition(), message.offset()));
    let text = |message: &OwnedMessage| String::from_utf8(message.payload().unwrap().to_vec());
    own.into_iter().map(|message| text(message).unwrap().parse().unwrap()).collect()
}
