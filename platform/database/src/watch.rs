//! Watches the servers of the database: which is the primary, how far the replica is, and how full
//! the pools are.
//!
//! Mailbox 4, permanent; a crash loses nothing, the next look sees everything anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Service, ServiceRef, Spec, System};

use crate::db::Db;

/// Between two looks while readers want the replica.
const PERIOD: Duration = Duration::from_millis(100);
/// While nobody does, every so many of them is one.
const QUIET_PERIODS: u32 = 10;

/// Looks at the servers now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Look;

troupe_actors::protocol! {
    /// What the watch understands.
    pub enum WatchMessage("database.watch", 1) redact [] {
        /// Looks at the servers now.
        Look => (),
    }
}

/// The actor.
pub struct Watch {
    db: Db,
    periods: u32,
}

impl Watch {
    /// The service and its specification for a supervisor.
    #[must_use]
    pub fn spec(system: &System, db: &Db) -> (ServiceRef<WatchMessage>, ChildSpec) {
        let db = db.clone();
        Spec::new(system, "watch", move || Self { db: db.clone(), periods: 0 }).capacity(4).build()
    }
}

impl Service for Watch {
    type Message = WatchMessage;

    async fn start(&mut self, ctx: &mut Context<WatchMessage>) -> Handled {
        ctx.every(PERIOD, || Look.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<WatchMessage>,
        ctx: &mut Context<WatchMessage>,
    ) -> Handled {
        let WatchMessage::Look(look) = &**message;
        self.periods = (self.periods + 1) % QUIET_PERIODS;
        if self.periods == 1 || self.db.is_look_wanted() {
            self.db.look().await;
        }
        ctx.reply(look, ())
    }
}
