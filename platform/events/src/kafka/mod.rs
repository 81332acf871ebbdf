//! Kafka between the commit of events and their consumers (docs/adr/0016, 0017).
//!
//! The outbox stays where events are written. A relay, one in all nodes, publishes it in order and keeps
//! its place as a consumer of the log does. Each subscription is a group; each node has one member of it,
//! which divides the messages by their key among a few lanes. A lane delivers one after the other; the
//! offset of a message is committed when it was applied, waits in the retry topic, or is a dead letter.

mod access;
mod client;
mod cloud_event;
mod condition;
mod ears;
mod group;
mod headers;
mod lane;
mod ledger;
mod letter;
mod member;
mod publisher;
mod relay;
mod sitting;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::kafka_config::KafkaConfig;

pub(crate) use group::Group;
pub(crate) use relay::{RELAY, Relay};

use access::Access;
use condition::Condition;
use publisher::Publisher;
use topics::Topics;

/// Counts from zero: the increase of a counter that begins with its first event is not seen.
pub(crate) fn announce<'a>(consumers: impl Iterator<Item = &'a String>) {
    metrics::counter!("events_relayed_total").increment(0);
    metrics::counter!("events_kafka_queue_full_total").increment(0);
    metrics::counter!("events_dead_total", "consumer" => RELAY).increment(0);
    for consumer in consumers {
        for name in ["events_kafka_retries_total", "events_kafka_malformed_total"] {
            metrics::counter!(name, "consumer" => consumer.clone()).increment(0);
        }
    }
}

/// What everything that speaks to the brokers shares in a node.
pub(crate) struct Kafka {
    pub(crate) config: KafkaConfig,
    pub(crate) access: Arc<Access>,
    pub(crate) condition: Arc<Condition>,
    pub(crate) topics: Topics,
    /// For the relay, which makes it anew when it must begin again.
    pub(crate) publisher: Publisher,
    /// For the topics of what failed.
    pub(crate) aside: Publisher,
    /// How far each group is behind in the partitions of this node.
    lags: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Kafka {
    /// Connects to nothing yet.
    pub(crate) fn new(config: &KafkaConfig) -> Self {
        let (access, condition) = (Arc::new(Access::new(config)), Arc::new(Condition::new(config)));
        Self {
            config: config.clone(),
            topics: Topics::new(config, &access, &condition),
            publisher: Publisher::new(config, &access, &condition),
            aside: Publisher::new(config, &access, &condition),
            lags: Mutex::default(),
            access,
            condition,
        }
    }

    /// Where a group notes how far it is behind.
    pub(crate) fn lag_of(&self, consumer: &str) -> Arc<AtomicU64> {
        self.lags.lock().entry(consumer.to_owned()).or_default().clone()
    }

    /// How far each group of this node is behind in its partitions, a second ago.
    pub(crate) fn lags(&self) -> Vec<(String, u64)> {
        let lags = self.lags.lock();
        lags.iter().map(|(name, lag)| (name.clone(), lag.load(Ordering::Relaxed))).collect()
    }
}
