//! The relay: publishes the outbox in order, and keeps its place in the log as a consumer of it.
//!
//! One in all nodes at a time, by the lease beside its offset. It reads a batch in the transaction that
//! renews the lease: when that is durable, so is everything it has read (docs/adr/0012). The offset moves
//! up to the first event that is not acknowledged. After a crash or a fault it begins there again, so
//! that an event may come twice, but never before one of its subject that it followed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::producer::future_producer::DeliveryFuture;
use troupe_actors::Scope;
use troupe_database::{Db, DbConn, UnitOfWork};
use troupe_kernel::{Failure, Uuid};

use super::Kafka;
use super::publisher::{Record, Refusal};
use crate::config::EventsConfig;
use crate::consumer::Worker;
use crate::dead_letters::{self, DeadLetter};
use crate::log::{self, Claim, Line, Position};
use crate::turn::{Held, Next, REPLAYS_MAX, STATEMENT_TIMEOUT, Turn};

/// The relay's name among the consumers of the log.
pub(crate) const RELAY: &str = "events.relay";
/// Batches in one turn.
const BATCHES_MAX: usize = 100;

/// Why a turn ended early.
enum Stopped {
    /// Another node has the lease.
    Lost,
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Events that were handed to the producer, in order.
#[derive(Default)]
struct Flight {
    under_way: Vec<(Line, Result<DeliveryFuture, Failure>)>,
}

/// Counts what was published when a flight has ended, however it did.
struct Relayed(u64);

impl Drop for Relayed {
    fn drop(&mut self) {
        metrics::counter!("events_relayed_total").increment(self.0);
    }
}

/// What the relay needs for its turns.
#[derive(Clone)]
pub(crate) struct Relay {
    db: Db,
    config: EventsConfig,
    node: Uuid,
    kafka: Arc<Kafka>,
}

impl Worker for Relay {
    fn name(&self) -> &str {
        RELAY
    }

    fn db(&self) -> &Db {
        &self.db
    }

    fn poll(&self) -> Duration {
        self.config.poll
    }

    async fn turn(&self, held: Option<Held>, is_poll: bool) -> Turn {
        let mut hold = held;
        if self.kafka.publisher.is_outdated() {
            self.kafka.publisher.reset().await;
        }
        let moved = async {
            if is_poll {
                self.measure().await?;
                self.replay_asked(&mut hold).await?;
            }
            self.advance(&mut hold).await
        };
        match moved.await {
            Ok((next, moved)) => Turn { held: hold, next, moved },
            Err(failure) => {
                tracing::warn!(%failure, "a turn of the relay failed");
                Turn { held: None, next: Next::Standby, moved: false }
            }
        }
    }

    async fn release(&self) {
        // Whoever publishes next sends again what was not acknowledged.
        self.kafka.publisher.reset().await;
        let node = self.node;
        let released = self
            .db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                Ok(log::release(uow.conn(), RELAY, node).await?)
            })
            .await;
        if let Err(failure) = released {
            tracing::debug!(%failure, "the relay's lease was not given back; it will end by itself");
        }
    }
}

impl Relay {
    pub(crate) fn new(db: &Db, config: &EventsConfig, node: Uuid, kafka: &Arc<Kafka>) -> Self {
        Self { db: db.clone(), config: config.clone(), node, kafka: kafka.clone() }
    }

    async fn advance(&self, hold: &mut Option<Held>) -> Result<(Next, bool), Failure> {
        let horizon = self.db.read(async |conn: &mut DbConn| Ok(log::horizon(conn).await?)).await?;
        let Some(horizon) = horizon else { return Ok((Next::Idle, false)) };
        if hold.is_some_and(|held| horizon <= held.position) {
            return Ok((Next::Idle, false));
        }
        let Some(held) = self.hold(hold).await? else { return Ok((Next::Standby, false)) };
        if horizon <= held.position {
            return Ok((Next::Idle, false));
        }
        let mut acknowledged = held.position;
        // Boxed: it holds up to three batches.
        let published = Box::pin(self.publish(&mut acknowledged)).await;
        if published.is_err() {
            // What is still under way must not arrive after what is sent again.
            self.kafka.publisher.reset().await;
            self.kafka.topics.forget();
        }
        *hold = self.store(acknowledged).await?;
        match published {
            Ok(next) if hold.is_some() => Ok((next, true)),
            Ok(_) | Err(Stopped::Lost) => {
                *hold = None;
                Ok((Next::Standby, true))
            }
            Err(Stopped::Failed(failure)) => Err(failure),
        }
    }

    /// Publishes what is in the log after a place, which moves on with the acknowledgements. While one
    /// batch departs and the one before it lands the next is read.
    async fn publish(&self, acknowledged: &mut Position) -> Result<Next, Stopped> {
        self.kafka.publisher.connect();
        let mut lines = self.fetch(*acknowledged, *acknowledged).await?;
        let mut before = Flight::default();
        for _ in 0..BATCHES_MAX {
            let is_last = lines.len() < self.kafka.config.publish_batch_max;
            let cursor = lines.last().map_or(*acknowledged, |line| line.position);
            let reading = async {
                match is_last {
                    true => Ok(Vec::new()),
                    false => self.fetch(*acknowledged, cursor).await,
                }
            };
            let mut landed = *acknowledged;
            let flying = self.with_lease(async {
                let flight = self.depart(lines).await?;
                self.land(before, &mut landed).await?;
                Ok::<_, Stopped>(flight)
            });
            let (next, flown) = tokio::join!(reading, flying);
            *acknowledged = landed;
            before = flown??;
            if is_last {
                self.with_lease(self.land(before, acknowledged)).await??;
                return Ok(Next::Idle);
            }
            lines = next?;
        }
        self.with_lease(self.land(before, acknowledged)).await??;
        Ok(Next::More)
    }

    /// Stores the place, renews the lease and reads the next batch, in one transaction.
    async fn fetch(&self, acknowledged: Position, after: Position) -> Result<Vec<Line>, Stopped> {
        let limit = i64::try_from(self.kafka.config.publish_batch_max).unwrap_or(i64::MAX);
        let claim = self.claim();
        let fetched = self
            .db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                let conn = uow.conn();
                let horizon = log::horizon(conn).await?.unwrap_or_default();
                let lines = log::lines(conn, after, horizon, "", limit).await?;
                // A write behind the reads: with its commit, what they saw is durable.
                let kept = log::store(conn, RELAY, acknowledged, &claim).await?;
                Ok(kept.then_some((lines, horizon)))
            })
            .await?;
        let Some((lines, horizon)) = fetched else { return Err(Stopped::Lost) };
        let first = lines.first();
        let age = first.map_or(Duration::ZERO, |line| claim.now.since(line.head.time));
        metrics::gauge!("events_relay_backlog_seconds").set(age.as_secs_f64());
        // At the very beginning, what was trimmed before does not count.
        let from = match (acknowledged.number, first) {
            (0, Some(line)) => line.position.number - 1,
            (number, _) => number,
        };
        self.kafka.condition.measured(distance(from, horizon.number));
        Ok(lines)
    }

    /// Hands events to the producer, in their order.
    async fn depart(&self, lines: Vec<Line>) -> Result<Flight, Stopped> {
        let topics = &self.kafka.topics;
        // A batch has few kinds.
        let mut of_kind: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for Line { head, .. } in &lines {
            if !of_kind.contains_key(&head.kind) {
                of_kind.insert(head.kind.clone(), topics.of_kind(&head.kind).into());
            }
        }
        topics.ensure(&of_kind.values().map(|topic| topic.to_string()).collect()).await?;
        let mut flight = Flight { under_way: Vec::with_capacity(lines.len()) };
        for line in lines {
            let record = Record::of_line(&line, of_kind[&line.head.kind].clone());
            let delivery = match self.kafka.publisher.add(record).await {
                Ok(delivery) => Ok(delivery),
                Err(Refusal::Message(failure)) => Err(failure),
                Err(Refusal::Kafka(failure)) => return Err(failure.into()),
            };
            flight.under_way.push((line, delivery));
        }
        Ok(flight)
    }

    /// Waits for the acknowledgements in order; the place moves over each. An event that Kafka will never
    /// take becomes a dead letter.
    async fn land(&self, flight: Flight, acknowledged: &mut Position) -> Result<(), Stopped> {
        let mut relayed = Relayed(0);
        for (line, delivery) in flight.under_way {
            let position = line.position;
            let refused = match delivery {
                Ok(delivery) => match self.kafka.publisher.landed(delivery).await {
                    Ok(()) => None,
                    Err(Refusal::Message(failure)) => Some(failure),
                    Err(Refusal::Kafka(failure)) => return Err(failure.into()),
                },
                Err(failure) => Some(failure),
            };
            match refused {
                None => relayed.0 += 1,
                Some(failure) => {
                    let event = line.read().map_err(Failure::from)?.event;
                    dead_letters::give_up(&self.db, RELAY, event, 1, &failure).await?;
                }
            }
            *acknowledged = position;
        }
        Ok(())
    }

    /// Publishes one event by itself, for a replay.
    pub(crate) async fn replay(&self, letter: DeadLetter) -> Result<(), Failure> {
        let result = self.publish_again(&letter).await;
        dead_letters::settle(&self.db, letter, result).await
    }

    async fn publish_again(&self, letter: &DeadLetter) -> Result<(), Failure> {
        let topic = self.kafka.topics.of_kind(&letter.event.kind);
        let record = Record::of(&letter.event, topic.into());
        let published = async {
            let delivery = self.kafka.publisher.add(record).await?;
            self.kafka.publisher.landed(delivery).await
        };
        match tokio::time::timeout(self.config.delivery_timeout, published).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Refusal::Message(failure) | Refusal::Kafka(failure))) => Err(failure),
            Err(_) => Err(Failure::unavailable(
                "events.kafka.away",
                "Kafka did not take the event in time; it may have it later",
            )),
        }
    }

    /// Publishes the dead letters of the relay for which a replay was asked.
    async fn replay_asked(&self, hold: &mut Option<Held>) -> Result<(), Failure> {
        let letters = self
            .db
            .read(async |conn: &mut DbConn| dead_letters::to_replay(conn, RELAY, REPLAYS_MAX).await)
            .await?;
        if letters.is_empty() || self.hold(hold).await?.is_none() {
            return Ok(());
        }
        for letter in letters {
            let event = letter.event.id;
            if let Err(failure) = self.replay(letter).await {
                tracing::warn!(%event, %failure, "a replayed event was refused again");
            }
        }
        Ok(())
    }

    /// Counts what waits, on every node: each refuses new events by itself when it is too much.
    async fn measure(&self) -> Result<(), Failure> {
        let (first, horizon, stored) = self
            .db
            .read(async |conn: &mut DbConn| {
                let first = log::first(conn).await?;
                let horizon = log::horizon(conn).await?.unwrap_or_default();
                Ok((first, horizon, log::offset(conn, RELAY).await?.unwrap_or_default()))
            })
            .await?;
        // What was trimmed before there was a relay does not wait for it.
        let from = first.map_or(horizon.number, |first| stored.number.max(first - 1));
        self.kafka.condition.measured(distance(from, horizon.number));
        Ok(())
    }

    /// Does work and renews the lease meanwhile. It stops when there is another access to the brokers:
    /// the one before may never succeed.
    async fn with_lease<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let renewed = self.kafka.publisher.renewed();
        tokio::pin!(work, renewed);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                failure = &mut renewed => return Err(failure.into()),
                () = tokio::time::sleep(self.config.lease / 3) => {
                    if self.acquire().await?.is_none() {
                        tracing::warn!("another node took the relay over");
                        return Err(Stopped::Lost);
                    }
                    self.measure().await?;
                }
            }
        }
    }

    /// The hold, taken or renewed when less than half of its time is left.
    async fn hold(&self, hold: &mut Option<Held>) -> Result<Option<Held>, Failure> {
        let now = self.db.clock().now();
        if let Some(held) = hold
            && held.until > now.plus(self.config.lease / 2)
        {
            return Ok(Some(*held));
        }
        let until = now.plus(self.config.lease);
        *hold = self.acquire().await?.map(|position| Held {
            position,
            stored: position,
            stored_at: now,
            until,
        });
        Ok(*hold)
    }

    async fn acquire(&self) -> Result<Option<Position>, Failure> {
        let claim = self.claim();
        self.db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                Ok(log::acquire(uow.conn(), RELAY, &claim).await?)
            })
            .await
    }

    /// Stores the place; none when another node has the lease.
    async fn store(&self, position: Position) -> Result<Option<Held>, Failure> {
        let claim = self.claim();
        let stored = self
            .db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                Ok(log::store(uow.conn(), RELAY, position, &claim).await?)
            })
            .await?;
        let until = claim.now.plus(self.config.lease);
        Ok(stored.then_some(Held { position, stored: position, stored_at: claim.now, until }))
    }

    fn claim(&self) -> Claim {
        Claim { node: self.node, now: self.db.clock().now(), lease: self.config.lease }
    }

    fn scope(&self) -> Scope {
        Scope::system(RELAY, STATEMENT_TIMEOUT)
    }
}

fn distance(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}
