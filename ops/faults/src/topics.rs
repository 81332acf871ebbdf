//! Reads every topic of the run back, as somebody else would.

use anyhow::Result;

use crate::evidence::Message;

/// Every message of the topics of modules, from the beginning; those of a partition in their order.
#[cfg(feature = "kafka")]
pub(crate) fn read(brokers: &str, prefix: &str) -> Result<Vec<Message>> {
    use std::time::{Duration, Instant};

    use anyhow::{Context as _, ensure};
    use rdkafka::config::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::message::{Headers as _, Message as _};
    use rdkafka::{Offset, TopicPartitionList};

    const WITHIN: Duration = Duration::from_secs(120);
    const ANSWER_WITHIN: Duration = Duration::from_secs(20);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("{prefix}-checker"))
        .set("enable.auto.commit", "false")
        .create()
        .context("a reader of the topics")?;
    let metadata = consumer.fetch_metadata(None, ANSWER_WITHIN).context("the list of topics")?;
    let owner = |name: &str| {
        name.strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|rest| !rest.contains('.'))
    };
    let mut list = TopicPartitionList::new();
    let mut expected = 0;
    for topic in metadata.topics().iter().filter(|topic| owner(topic.name())) {
        for partition in topic.partitions() {
            let (low, high) = consumer
                .fetch_watermarks(topic.name(), partition.id(), ANSWER_WITHIN)
                .context("the end of a partition")?;
            expected += usize::try_from(high - low).unwrap_or(0);
            list.add_partition_offset(topic.name(), partition.id(), Offset::Beginning)?;
        }
    }
    consumer.assign(&list).context("the partitions")?;
    let (mut messages, began) = (Vec::new(), Instant::now());
    while messages.len() < expected {
        ensure!(began.elapsed() < WITHIN, "of {expected} messages {} were read", messages.len());
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(500)) else { continue };
        let header = |name: &str| {
            let headers = message.headers()?;
            let found = headers.iter().find(|header| header.key == name)?.value?;
            Some(String::from_utf8_lossy(found).into_owned())
        };
        messages.push(Message {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            event: header("ce_id").unwrap_or_default(),
        });
    }
    Ok(messages)
}

/// Without Kafka's client there is nothing to read with.
#[cfg(not(feature = "kafka"))]
pub(crate) fn read(_brokers: &str, _prefix: &str) -> Result<Vec<Message>> {
    anyhow::bail!(
        "this program was built without the feature kafka: start it by `cargo xtask faults`"
    )
}
