//! Keeps the log within bounds: what every consumer has passed is removed after a while, and after a
//! longer while what a consumer never read is removed as well.
//!
//! Mailbox 16, permanent; a crash loses nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_database::{Db, DbConn, UnitOfWork};
use troupe_kernel::{Failure, Timestamp};

use crate::config::EventsConfig;
use crate::log::{self, Position};

const PERIOD: Duration = Duration::from_secs(60);
const STEP_ROWS: i64 = 500;
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// Removes what is past its retention now; answers how many events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trim;

troupe_actors::protocol! {
    /// What the retention understands.
    pub enum RetentionMessage("events.retention", 1) redact [] {
        /// Removes what is past its retention now.
        Trim => u64,
    }
}

/// The actor.
pub(crate) struct Retention {
    db: Db,
    config: EventsConfig,
    consumers: Vec<String>,
    /// Whether what a consumer of this node has not read is never removed.
    keeps_unread: bool,
}

impl Retention {
    pub(crate) fn spec(
        system: &System,
        db: &Db,
        config: &EventsConfig,
        consumers: Vec<String>,
        keeps_unread: bool,
    ) -> (ServiceRef<RetentionMessage>, ChildSpec) {
        // Counts from zero: the increase of a counter that begins with its first event is not seen.
        metrics::counter!("events_trimmed_unread_total").increment(0);
        let (db, config) = (db.clone(), config.clone());
        Spec::new(system, "retention", move || Self {
            db: db.clone(),
            config: config.clone(),
            consumers: consumers.clone(),
            keeps_unread,
        })
        .capacity(16)
        .build()
    }

    async fn trim(&self) -> Result<u64, Failure> {
        let now = self.db.clock().now();
        let abandoned = now.minus(self.config.keep_max);
        let passed = self.slowest(abandoned).await?;
        let mut rows = self.remove(now.minus(self.config.keep), Some(passed)).await?;
        let unread = match self.keeps_unread {
            true => 0,
            false => self.remove(abandoned, None).await?,
        };
        if unread > 0 {
            metrics::counter!("events_trimmed_unread_total").increment(unread);
            tracing::error!(
                events = unread,
                "events were removed from the log before every consumer had read them"
            );
        }
        rows += unread;
        metrics::counter!("events_trimmed_total").increment(rows);
        Ok(rows)
    }

    /// The least offset of the consumers that matter: those of this node, and those of other nodes that
    /// have moved within the longest retention.
    async fn slowest(&self, abandoned: Timestamp) -> Result<Position, Failure> {
        let offsets = self.db.read(async |conn: &mut DbConn| Ok(log::offsets(conn).await?)).await?;
        let known = |name: &str| offsets.iter().any(|stored| stored.consumer == name);
        if !self.consumers.iter().all(|name| known(name)) {
            return Ok(Position::default());
        }
        let matters = |stored: &&log::Stored| {
            stored.updated_at >= abandoned || self.consumers.contains(&stored.consumer)
        };
        let least = offsets.iter().filter(matters).map(|stored| stored.position).min();
        Ok(least.unwrap_or(Position { transaction: i64::MAX, number: i64::MAX }))
    }

    /// Removes in small steps, so that the one SQLite writer is never held for long.
    async fn remove(&self, before: Timestamp, passed: Option<Position>) -> Result<u64, Failure> {
        let mut rows = 0;
        loop {
            let scope = Scope::system("events.retention", STEP_TIMEOUT);
            let step = self
                .db
                .transaction(&scope, async move |uow: &mut UnitOfWork| {
                    Ok(log::trim(uow.conn(), before, passed, STEP_ROWS).await?)
                })
                .await?;
            if step == 0 {
                return Ok(rows);
            }
            rows += step as u64;
        }
    }
}

impl Service for Retention {
    type Message = RetentionMessage;

    async fn start(&mut self, ctx: &mut Context<RetentionMessage>) -> Handled {
        ctx.every(PERIOD, || Trim.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<RetentionMessage>,
        ctx: &mut Context<RetentionMessage>,
    ) -> Handled {
        let RetentionMessage::Trim(trim) = &**message;
        let rows = self.trim().await?;
        ctx.reply(trim, rows)
    }
}
