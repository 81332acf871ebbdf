//! What a member of a group hears of its consumer: rebalances, errors, how far it is behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::client::Watch;
use super::ledger::Partition;

/// Hears what the group does and what the library says.
pub(super) struct Ears {
    pub(super) watch: Watch,
    pub(super) consumer: String,
    pub(super) lag: Arc<AtomicU64>,
    /// Partitions that went to other members and are in the ledger still.
    pub(super) revoked: Mutex<Vec<Partition>>,
}

impl ClientContext for Ears {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.watch.log(level, facility, text);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let behind: u64 = partitions.filter_map(|each| u64::try_from(each.consumer_lag).ok()).sum();
        self.lag.store(behind, Ordering::Relaxed);
        metrics::gauge!("events_consumer_lag_positions", "consumer" => self.consumer.clone())
            .set(behind as f64);
        self.watch.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.error(error, reason);
    }
}

impl ConsumerContext for Ears {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(partitions) => {
                self.revoked.lock().extend(partitions.elements().iter().map(|each| Partition {
                    topic: each.topic().into(),
                    number: each.partition(),
                }));
            }
            Rebalance::Assign(partitions) => {
                tracing::debug!(
                    consumer = self.consumer,
                    partitions = partitions.count(),
                    "partitions were assigned"
                );
            }
            Rebalance::Error(error) => {
                tracing::warn!(consumer = self.consumer, %error, "a rebalance failed");
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(consumer = self.consumer, %error, "offsets were not committed; the next commit has them");
        }
    }
}
