//! One turn of a consumer: make sure of the lease, read what is new, deliver it, store the offset.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::Scope;
use troupe_database::{Db, DbConn, UnitOfWork};
use troupe_kernel::{Event, Failure, Subscription, Timestamp, Uuid};

use crate::config::EventsConfig;
use crate::consumer::Worker;
use crate::dead_letters::{self, DeadLetter};
use crate::log::{self, Claim, Position};

/// An offset that moved over events of other kinds only is stored after so many, or so long.
const UNSTORED_MAX: i64 = 1_000;
const UNSTORED_TIME_MAX: Duration = Duration::from_secs(30);
/// Replays in one turn.
pub(crate) const REPLAYS_MAX: i64 = 20;
/// How long the statements of a turn may take.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a consumer needs for its turns.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) db: Db,
    pub(crate) config: EventsConfig,
    pub(crate) subscription: Subscription,
    /// This process, the holder of leases.
    pub(crate) node: Uuid,
    /// What the kinds of all patterns begin with.
    pub(crate) prefix: String,
    /// Its name in the scope of a delivery.
    pub(crate) label: String,
    /// Counts its deliveries.
    pub(crate) delivered: metrics::Counter,
    /// Whether the last turn failed.
    is_failing: Arc<AtomicBool>,
}

/// The lease and the offset while this node delivers to the consumer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) position: Position,
    pub(crate) stored: Position,
    pub(crate) stored_at: Timestamp,
    pub(crate) until: Timestamp,
}

/// What comes after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Next {
    /// There is more to read.
    More,
    /// Everything was read.
    Idle,
    /// Another node delivers, or the database is away.
    Standby,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Turn {
    pub(crate) held: Option<Held>,
    pub(crate) next: Next,
    /// Whether the log had grown.
    pub(crate) moved: bool,
}

impl Worker for Reader {
    fn name(&self) -> &str {
        self.subscription.name()
    }

    fn db(&self) -> &Db {
        &self.db
    }

    fn poll(&self) -> Duration {
        self.config.poll
    }

    async fn turn(&self, held: Option<Held>, is_poll: bool) -> Turn {
        let mut hold = held;
        if is_poll && let Err(failure) = self.replay_asked(&mut hold).await {
            self.tell_failure(&failure, "the replays of a consumer could not be done");
        }
        match self.advance(&mut hold).await {
            Ok((next, moved)) => {
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(consumer = self.name(), "the turns of a consumer succeed again");
                }
                Turn { held: hold, next, moved }
            }
            Err(failure) => {
                self.tell_failure(&failure, "a turn of a consumer failed");
                Turn { held: None, next: Next::Standby, moved: false }
            }
        }
    }

    async fn release(&self) {
        let (name, node) = (self.name().to_owned(), self.node);
        let released = self
            .db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                Ok(log::release(uow.conn(), &name, node).await?)
            })
            .await;
        if let Err(failure) = released {
            tracing::debug!(consumer = self.name(), %failure, "the lease was not given back; it will end by itself");
        }
    }
}

impl Reader {
    /// A database that is away fails every turn: the first one is told.
    fn tell_failure(&self, failure: &Failure, what: &str) {
        if self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::debug!(consumer = self.name(), %failure, "{what}");
        } else {
            tracing::warn!(consumer = self.name(), %failure, "{what}");
        }
    }

    pub(crate) fn new(
        db: &Db,
        config: &EventsConfig,
        subscription: Subscription,
        node: Uuid,
    ) -> Self {
        let prefix = common_prefix(subscription.patterns());
        let name = subscription.name().to_owned();
        let label = format!("events.{name}");
        let delivered = metrics::counter!("events_delivered_total", "consumer" => name);
        Self {
            db: db.clone(),
            config: config.clone(),
            subscription,
            node,
            prefix,
            label,
            delivered,
            is_failing: Arc::default(),
        }
    }

    /// Delivers the dead letters for which a replay was asked, if this node delivers to the consumer.
    async fn replay_asked(&self, hold: &mut Option<Held>) -> Result<(), Failure> {
        let name = self.name();
        let letters = self
            .db
            .read(async move |conn: &mut DbConn| {
                dead_letters::to_replay(conn, name, REPLAYS_MAX).await
            })
            .await?;
        if letters.is_empty() || self.hold(hold).await?.is_none() {
            return Ok(());
        }
        self.replay_all(letters).await;
        Ok(())
    }

    /// Delivers the dead letters for which a replay was asked, whoever else does: the inbox of the service
    /// drops a second delivery.
    #[cfg(feature = "kafka")]
    pub(crate) async fn replay_wanted(&self) -> Result<(), Failure> {
        let name = self.name();
        let letters = self
            .db
            .read(async move |conn: &mut DbConn| {
                dead_letters::to_replay(conn, name, REPLAYS_MAX).await
            })
            .await?;
        self.replay_all(letters).await;
        Ok(())
    }

    async fn replay_all(&self, letters: Vec<DeadLetter>) {
        for letter in letters {
            let event = letter.event.id;
            if let Err(failure) = self.replay(letter).await {
                tracing::warn!(consumer = self.name(), %event, %failure, "a replayed event failed again");
            }
        }
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
        let limit = i64::try_from(self.config.batch_max).unwrap_or(i64::MAX);
        let (after, prefix) = (held.position, self.prefix.as_str());
        let entries = self
            .db
            .read(async move |conn: &mut DbConn| {
                Ok(log::read(conn, after, horizon, prefix, limit).await?)
            })
            .await?;
        let full = entries.len() >= self.config.batch_max;
        let end = entries.last().filter(|_| full).map_or(horizon, |entry| entry.position);
        self.measure(&held, horizon, entries.first().map(|entry| entry.event.time));
        let events: Vec<Event> = entries
            .into_iter()
            .map(|entry| entry.event)
            .filter(|event| self.subscription.takes(&event.kind))
            .collect();
        let delivered = !events.is_empty();
        if delivered && !self.deliver_with_lease(events).await? {
            *hold = None;
            return Ok((Next::Standby, true));
        }
        let moved = Held { position: end, ..held };
        *hold = self.store(moved, delivered).await?;
        let next = match (hold, full) {
            (None, _) => Next::Standby,
            (Some(_), true) => Next::More,
            (Some(_), false) => Next::Idle,
        };
        Ok((next, true))
    }

    /// The hold, taken or renewed when less than half of its time is left.
    async fn hold(&self, hold: &mut Option<Held>) -> Result<Option<Held>, Failure> {
        let claim = self.claim();
        if let Some(held) = hold
            && held.until > claim.now.plus(self.config.lease / 2)
        {
            return Ok(Some(*held));
        }
        let name = self.name().to_owned();
        let position = self
            .db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                Ok(log::acquire(uow.conn(), &name, &claim).await?)
            })
            .await?;
        let until = claim.now.plus(self.config.lease);
        *hold = position.map(|stored| {
            let fresh = Held { position: stored, stored, stored_at: claim.now, until };
            // What was read over without storing needs no second reading while nobody else delivered.
            hold.filter(|held| held.stored == stored).map_or(fresh, |held| Held { until, ..held })
        });
        Ok(*hold)
    }

    /// Delivers and renews the lease meanwhile; false when the lease was lost.
    async fn deliver_with_lease(&self, events: Vec<Event>) -> Result<bool, Failure> {
        let work = self.deliver_all(events);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done.map(|()| true),
                () = tokio::time::sleep(self.config.lease / 3) => {
                    let (name, claim) = (self.name().to_owned(), self.claim());
                    let renewed = self
                        .db
                        .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                            Ok(log::acquire(uow.conn(), &name, &claim).await?)
                        })
                        .await?;
                    if renewed.is_none() {
                        tracing::warn!(consumer = self.name(), "another node took over while events were delivered");
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Stores the offset when it matters; none when the lease was lost.
    async fn store(&self, held: Held, delivered: bool) -> Result<Option<Held>, Failure> {
        let claim = self.claim();
        let unstored = held.position.number.saturating_sub(held.stored.number).abs();
        let waited = claim.now.since(held.stored_at);
        if !delivered && unstored < UNSTORED_MAX && waited < UNSTORED_TIME_MAX {
            return Ok(Some(held));
        }
        let (name, position) = (self.name().to_owned(), held.position);
        let stored = self
            .db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                Ok(log::store(uow.conn(), &name, position, &claim).await?)
            })
            .await?;
        let until = claim.now.plus(self.config.lease);
        Ok(stored.then_some(Held { stored: position, stored_at: claim.now, until, ..held }))
    }

    fn measure(&self, held: &Held, horizon: Position, oldest: Option<Timestamp>) {
        let consumer = self.name().to_owned();
        let behind = horizon.number.saturating_sub(held.position.number).max(0);
        let age = oldest.map_or(Duration::ZERO, |time| self.db.clock().now().since(time));
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("events_consumer_lag_positions", "consumer" => consumer.clone())
            .set(behind as f64);
        metrics::gauge!("events_consumer_lag_seconds", "consumer" => consumer)
            .set(age.as_secs_f64());
    }

    fn claim(&self) -> Claim {
        Claim { node: self.node, now: self.db.clock().now(), lease: self.config.lease }
    }

    fn scope(&self) -> Scope {
        Scope::system("events.consumer", STATEMENT_TIMEOUT)
    }
}

/// What all patterns begin with before their first `*`.
fn common_prefix(patterns: &[String]) -> String {
    let literal = |pattern: &str| pattern.split('*').next().unwrap_or_default().to_owned();
    let mut literals = patterns.iter().map(|pattern| literal(pattern));
    let Some(mut prefix) = literals.next() else { return String::new() };
    for other in literals {
        let same = prefix
            .chars()
            .zip(other.chars())
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a.len_utf8())
            .sum();
        prefix.truncate(same);
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_prefix_ends_before_the_first_difference_or_star() {
        for (patterns, expected) in [
            (&["blog.post.published"][..], "blog.post.published"),
            (&["blog.post.*"], "blog.post."),
            (&["blog.post.*", "blog.comment.added"], "blog."),
            (&["blog.*", "auth.*"], ""),
            (&["*"], ""),
            (&[], ""),
        ] {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            assert_eq!(common_prefix(&patterns), expected, "{patterns:?}");
        }
    }
}
