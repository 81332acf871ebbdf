//! Watches the servers of the database and shows in the metrics how it stands with them.
//!
//! Mailbox 4, permanent; a crash loses nothing, the next look sees everything anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Service, ServiceRef, Spec, System};

use crate::db::Db;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

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
}

impl Watch {
    /// The service and its specification for a supervisor.
    #[must_use]
    pub fn spec(system: &System, db: &Db) -> (ServiceRef<WatchMessage>, ChildSpec) {
        let db = db.clone();
        Spec::new(system, "watch", move || Self { db: db.clone() }).capacity(4).build()
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
        self.db.look();
        ctx.reply(look, ())
    }
}
