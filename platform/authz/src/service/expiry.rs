//! Ends bindings when their time is over.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{Context, Handled, Lent, Service};
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::clock::{SharedClock, Timestamp};
use troupe_kernel::{AuditRecord, Failure, Scope};

use super::bindings::{detail_of, platform_or};
use super::spread::Spread;
use crate::events;
use crate::repository::bindings::{self, BindingRow};

/// How precisely a binding ends at the gates; decisions look at the end itself.
const TICK: Duration = Duration::from_millis(250);
/// Another node may make a binding with an end.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const SWEEP_MAX: i64 = 100;
const SWEEP_WITHIN: Duration = Duration::from_secs(20);

/// A tick of the clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tick;

/// A binding with an end was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookAgain;

troupe_actors::protocol! {
    /// What ends bindings.
    pub enum ExpiryMessage("authz.expiry", 1) redact [] {
        /// A tick of the clock.
        Tick,
        /// A binding with an end was made.
        LookAgain,
    }
}

/// What it works with.
#[derive(Clone)]
pub struct ExpirySetup {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: SharedClock,
    /// Who is told of changes.
    pub spread: Spread,
}

/// Sweeps bindings that have ended, and says so: events, audit records, caches.
pub struct Expiry {
    setup: ExpirySetup,
    /// When the next binding ends, as far as known.
    next: Option<Timestamp>,
    looked_at: Option<Timestamp>,
}

impl Expiry {
    /// One that has not looked yet.
    #[must_use]
    pub fn new(setup: ExpirySetup) -> Self {
        Self { setup, next: None, looked_at: None }
    }

    async fn look(&mut self) -> Handled {
        let scope = Scope::system("authz.expiry", SWEEP_WITHIN);
        loop {
            let ended = self.sweep(&scope).await?;
            for row in &ended {
                self.setup.spread.changed(&scope, row.subject.into()).await?;
            }
            if ended.len() < usize::try_from(SWEEP_MAX).unwrap_or(usize::MAX) {
                break;
            }
        }
        self.next = self.setup.db.read(async |conn| Ok(bindings::next_end(conn).await?)).await?;
        self.looked_at = Some(self.setup.clock.now());
        Ok(())
    }

    async fn sweep(&self, scope: &Scope) -> Result<Vec<BindingRow>, Failure> {
        let now = self.setup.clock.now();
        self.setup
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let ended = bindings::sweep(uow.conn(), now, SWEEP_MAX).await?;
                for row in &ended {
                    uow.event(events::expired(row));
                    let record = AuditRecord::new(
                        scope,
                        "authz.binding.expire",
                        format!("binding:{}", row.id.0),
                    )
                    .detail(detail_of(row));
                    uow.audit(platform_or(record, row));
                }
                Ok(ended)
            })
            .await
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let stale = self.looked_at.is_none_or(|at| now.since(at) >= LOOK_AGAIN || now < at);
        stale || self.next.is_some_and(|next| next <= now)
    }
}

impl Service for Expiry {
    type Message = ExpiryMessage;

    async fn start(&mut self, ctx: &mut Context<ExpiryMessage>) -> Handled {
        ctx.every(TICK, || Tick.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<ExpiryMessage>,
        _ctx: &mut Context<ExpiryMessage>,
    ) -> Handled {
        match &**message {
            ExpiryMessage::Tick(_) if !self.is_due(self.setup.clock.now()) => Ok(()),
            ExpiryMessage::Tick(_) | ExpiryMessage::LookAgain(_) => self.look().await,
        }
    }
}
