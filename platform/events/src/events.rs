//! The handle on the event bus: starts the consumers, shows their lag, lists and replays dead letters.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Failure, Scope, ServiceRef, Supervisor, System};
use troupe_database::{Db, DbConn, Effect, UnitOfWork};
use troupe_kernel::{HealthCheck, Page, PageRequest, Reload, Subscription, Timestamp, Uuid};

use crate::config::EventsConfig;
use crate::consumer::{Bell, Consumer};
use crate::dead_letters::{self, DeadLetter};
use crate::delivery;
#[cfg(feature = "kafka")]
use crate::kafka::{self, Group, Kafka, RELAY, Relay};
use crate::log::{self, Position};
use crate::retention::{Retention, RetentionMessage};
use crate::turn::Reader;

/// Events that are counted for a lag at most.
const LAG_MAX: i64 = 10_000;

/// How far a consumer is behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// The subscription.
    pub consumer: String,
    /// Its stored offset.
    pub position: Position,
    /// Events that wait for it; counted up to ten thousand events of any kind.
    pub events: u64,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
    /// Its dead letters.
    pub dead_letters: u64,
    /// Whether a module of this node has the subscription.
    pub known: bool,
}

/// What became of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// The event was delivered and the letter is gone.
    Delivered,
    /// The node that delivers to the consumer will do it.
    AskedFor,
}

/// The actors that hand events on, and which consumers of the log they are.
struct Deliverers {
    of_log: Vec<String>,
    /// Whether the log must keep what they have not read.
    keeps_unread: bool,
    bells: Vec<Bell>,
    children: Vec<ChildSpec>,
}

/// The event bus of this node; clones share it.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    #[cfg(feature = "kafka")]
    kafka: Option<Arc<Kafka>>,
    config: EventsConfig,
    node: Uuid,
    readers: OnceLock<BTreeMap<String, Reader>>,
    retention: OnceLock<ServiceRef<RetentionMessage>>,
}

impl Events {
    /// The bus over this database. It delivers when [`consumers`](Self::consumers) are started.
    #[must_use]
    pub fn new(db: &Db, config: EventsConfig) -> Self {
        let node = troupe_kernel::ids::new_id(&**db.clock());
        let shared = Shared {
            db: db.clone(),
            #[cfg(feature = "kafka")]
            kafka: config.kafka.is_on().then(|| Arc::new(Kafka::new(&config.kafka))),
            config,
            node,
            readers: OnceLock::new(),
            retention: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The actors: one for each subscription, and the retention of the log. Start them after the
    /// services that the subscriptions ask.
    ///
    /// # Panics
    /// When it is called a second time: a subscription has one actor in a node.
    #[must_use]
    pub fn consumers(&self, system: &System, subscriptions: Vec<Subscription>) -> ChildSpec {
        let Shared { db, config, node, readers, retention, .. } = &*self.shared;
        let own: BTreeMap<String, Reader> = subscriptions
            .into_iter()
            .map(|each| (each.name().to_owned(), Reader::new(db, config, each, *node)))
            .collect();
        let restarts_max = u32::try_from(own.len()).unwrap_or(u32::MAX).saturating_mul(3).max(5);
        let mut supervisor =
            Supervisor::new(system, "events").intensity(restarts_max, Duration::from_secs(10));
        let Deliverers { of_log, keeps_unread, bells, children } = self.deliverers(system, &own);
        let (keeper, child) = Retention::spec(system, db, config, of_log, keeps_unread);
        supervisor = supervisor.child(child).children(children);
        db.wake_on(Effect::Events, move || bells.iter().for_each(Bell::ring));
        own.keys().for_each(|consumer| delivery::announce(consumer));
        let first = readers.set(own).is_ok() && retention.set(keeper).is_ok();
        assert!(first, "the consumers of a node are made once");
        supervisor.into_spec()
    }

    fn deliverers(&self, system: &System, own: &BTreeMap<String, Reader>) -> Deliverers {
        #[cfg(feature = "kafka")]
        if let Some(kafka) = &self.shared.kafka {
            return self.through_kafka(system, own, kafka);
        }
        let (bells, children) =
            own.values().map(|reader| Consumer::spec(system, reader.clone())).unzip();
        Deliverers { of_log: own.keys().cloned().collect(), keeps_unread: false, bells, children }
    }

    /// The relay reads the log, and a group reads Kafka for each subscription.
    #[cfg(feature = "kafka")]
    fn through_kafka(
        &self,
        system: &System,
        own: &BTreeMap<String, Reader>,
        kafka: &Arc<Kafka>,
    ) -> Deliverers {
        let Shared { db, config, node, .. } = &*self.shared;
        let condition = kafka.condition.clone();
        db.guard(Effect::Events, move || condition.refusal());
        let (bell, relay) = Consumer::spec(system, Relay::new(db, config, *node, kafka));
        kafka::announce(own.keys());
        let groups = own.values().map(|reader| Group::spec(system, reader.clone(), kafka));
        Deliverers {
            of_log: vec![RELAY.to_owned()],
            keeps_unread: true,
            bells: vec![bell],
            children: std::iter::once(relay).chain(groups).collect(),
        }
    }

    /// The health checks of the bus.
    #[must_use]
    pub fn health_checks(&self) -> Vec<HealthCheck> {
        #[cfg(feature = "kafka")]
        return self.shared.kafka.iter().map(|kafka| kafka.condition.health_check()).collect();
        #[cfg(not(feature = "kafka"))]
        Vec::new()
    }

    /// Takes another login or other certificates for Kafka while the node runs; none without Kafka.
    #[must_use]
    pub fn reload(&self) -> Option<Reload> {
        #[cfg(feature = "kafka")]
        return self.shared.kafka.as_ref().map(|kafka| kafka.access.reload());
        #[cfg(not(feature = "kafka"))]
        None
    }

    /// The actor that keeps the log within bounds, once the consumers are made.
    #[must_use]
    pub fn retention(&self) -> Option<&ServiceRef<RetentionMessage>> {
        self.shared.retention.get()
    }

    /// How far each consumer is behind, those of other nodes and of modules that are gone included.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lag(&self) -> Result<Vec<Lag>, Failure> {
        let lags = self.lag_in_log().await?;
        #[cfg(feature = "kafka")]
        if let Some(kafka) = &self.shared.kafka {
            return self.lag_in_groups(kafka, lags).await;
        }
        Ok(lags)
    }

    /// The relay's lag, and that of each group of this node in the partitions it has.
    #[cfg(feature = "kafka")]
    async fn lag_in_groups(&self, kafka: &Kafka, in_log: Vec<Lag>) -> Result<Vec<Lag>, Failure> {
        let relay = in_log.into_iter().filter(|lag| lag.consumer == RELAY);
        let mut lags: Vec<Lag> = relay.map(|lag| Lag { known: true, ..lag }).collect();
        for (consumer, events) in kafka.lags() {
            let name = consumer.as_str();
            let dead = self
                .shared
                .db
                .read(async |conn: &mut DbConn| Ok(dead_letters::count(conn, name).await?))
                .await?;
            lags.push(Lag {
                position: Position::default(),
                events,
                oldest: None,
                dead_letters: u64::try_from(dead).unwrap_or(0),
                known: true,
                consumer,
            });
        }
        Ok(lags)
    }

    async fn lag_in_log(&self) -> Result<Vec<Lag>, Failure> {
        let readers = self.shared.readers.get();
        self.shared
            .db
            .read(async |conn: &mut DbConn| {
                let mut lags = Vec::new();
                for stored in log::offsets(conn).await? {
                    let reader = readers.and_then(|readers| readers.get(&stored.consumer));
                    let waiting = log::behind(conn, stored.position, LAG_MAX).await?;
                    let takes =
                        |kind: &str| reader.is_none_or(|reader| reader.subscription.takes(kind));
                    let mut waiting = waiting.into_iter().filter(|(kind, _)| takes(kind));
                    let oldest = waiting.next().map(|(_, time)| time);
                    let events = u64::from(oldest.is_some()) + waiting.count() as u64;
                    let dead = dead_letters::count(conn, &stored.consumer).await?;
                    lags.push(Lag {
                        consumer: stored.consumer,
                        position: stored.position,
                        events,
                        oldest,
                        dead_letters: u64::try_from(dead).unwrap_or(0),
                        known: reader.is_some(),
                    });
                }
                Ok(lags)
            })
            .await
    }

    /// The newest dead letters, of one consumer or of all.
    ///
    /// # Errors
    /// A cursor of another list, or when the database does not answer.
    pub async fn dead_letters(
        &self,
        consumer: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<DeadLetter>, Failure> {
        let after: Option<(Timestamp, Uuid)> = page.position()?;
        let rows = page.rows();
        let letters = self
            .shared
            .db
            .read(async |conn: &mut DbConn| dead_letters::list(conn, consumer, after, rows).await)
            .await?;
        Ok(Page::from_rows(letters, page, |letter| (letter.failed_at, letter.id)))
    }

    /// One dead letter with its event.
    ///
    /// # Errors
    /// `events.dead_letter.missing`, or when the database does not answer.
    pub async fn dead_letter(&self, id: Uuid) -> Result<DeadLetter, Failure> {
        let letter = self
            .shared
            .db
            .read(async |conn: &mut DbConn| dead_letters::find(conn, id).await)
            .await?;
        letter.ok_or_else(missing)
    }

    /// Delivers a dead letter once more; it is gone when that succeeds.
    ///
    /// In a process without consumers (a command) the replay is asked for, and the node that delivers to
    /// the consumer does it at its next poll.
    ///
    /// # Errors
    /// The failure of the delivery (the letter stays, with this cause), `events.dead_letter.missing`,
    /// `events.subscription.missing` when no module of this node has the subscription.
    pub async fn replay(&self, scope: &Scope, id: Uuid) -> Result<Replay, Failure> {
        let letter = self.dead_letter(id).await?;
        let Some(readers) = self.shared.readers.get() else {
            let now = self.shared.db.clock().now();
            let asked = self
                .shared
                .db
                .transaction(scope, async move |uow: &mut UnitOfWork| {
                    Ok(dead_letters::ask_for_replay(uow.conn(), id, now).await?)
                })
                .await?;
            return if asked { Ok(Replay::AskedFor) } else { Err(missing()) };
        };
        #[cfg(feature = "kafka")]
        if let Some(kafka) = self.shared.kafka.as_ref().filter(|_| letter.consumer == RELAY) {
            let Shared { db, config, node, .. } = &*self.shared;
            let relay = Relay::new(db, config, *node, kafka);
            return relay.replay(letter).await.map(|()| Replay::Delivered);
        }
        let Some(reader) = readers.get(&letter.consumer) else {
            return Err(Failure::conflict(
                "events.subscription.missing",
                format!(
                    "no module of this node has the subscription {}; replay it where one has",
                    letter.consumer
                ),
            ));
        };
        reader.replay(letter).await.map(|()| Replay::Delivered)
    }

    /// Removes a dead letter without delivering it; answers whether there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn discard(&self, scope: &Scope, id: Uuid) -> Result<bool, Failure> {
        self.shared
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                Ok(dead_letters::remove(uow.conn(), id).await?)
            })
            .await
    }

    pub(crate) fn db(&self) -> &Db {
        &self.shared.db
    }
}

fn missing() -> Failure {
    Failure::not_found(
        "events.dead_letter.missing",
        "there is no such dead letter; it may have been replayed",
    )
}
