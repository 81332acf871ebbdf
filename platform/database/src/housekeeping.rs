//! Removes what is kept only for a while: idempotency records and inbox entries past their retention.
//!
//! Mailbox 16, permanent; a crash loses nothing, the next sweep goes on. Each sweep deletes in small
//! steps, so that it never holds the one SQLite writer for long.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_kernel::{Failure, Timestamp};

use crate::db::Db;
use crate::prelude::*;
use crate::schema::{idempotency, inbox};
use crate::unit_of_work::UnitOfWork;

/// Between two sweeps.
const PERIOD: Duration = Duration::from_secs(600);
/// How long a sweep may take.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(60);
/// Rows in one delete.
const STEP_ROWS: i64 = 1_000;

/// Removes what is past its retention now; answers how many rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sweep;

troupe_actors::protocol! {
    /// What the housekeeping understands.
    pub enum HousekeepingMessage("database.housekeeping", 1) redact [] {
        /// Removes what is past its retention now.
        Sweep => u64,
    }
}

/// The actor.
pub struct Housekeeping {
    db: Db,
}

impl Housekeeping {
    /// The service and its specification for a supervisor.
    #[must_use]
    pub fn spec(system: &System, db: &Db) -> (ServiceRef<HousekeepingMessage>, ChildSpec) {
        let db = db.clone();
        Spec::new(system, "housekeeping", move || Self { db: db.clone() }).capacity(16).build()
    }
}

impl Service for Housekeeping {
    type Message = HousekeepingMessage;

    async fn start(&mut self, ctx: &mut Context<HousekeepingMessage>) -> Handled {
        ctx.every(PERIOD, || Sweep.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<HousekeepingMessage>,
        ctx: &mut Context<HousekeepingMessage>,
    ) -> Handled {
        let HousekeepingMessage::Sweep(sweep) = &**message;
        let rows = self.sweep().await?;
        ctx.reply(sweep, rows)
    }
}

impl Housekeeping {
    async fn sweep(&self) -> Result<u64, Failure> {
        let now = self.db.clock().now();
        let replies = now.minus(self.db.config().idempotency_retention);
        let events = now.minus(self.db.config().inbox_retention);
        let scope = Scope::system("database.housekeeping", SWEEP_TIMEOUT);
        let mut rows = 0;
        loop {
            let step = self
                .db
                .transaction(&scope, async |uow: &mut UnitOfWork| {
                    let conn = uow.conn();
                    Ok(forget_replies(conn, replies).await? + forget_events(conn, events).await?)
                })
                .await?;
            rows += step;
            if step == 0 {
                return Ok(rows);
            }
        }
    }
}

/// Deletes about [`STEP_ROWS`] of the oldest replies; 0 when none is old enough.
async fn forget_replies(conn: &mut DbConn, before: Timestamp) -> DbResult<u64> {
    let step: Vec<DbTimestamp> = run!(conn, |c| idempotency::table
        .filter(idempotency::created_at.lt(DbTimestamp(before)))
        .order(idempotency::created_at)
        .select(idempotency::created_at)
        .limit(STEP_ROWS)
        .load(c))?;
    let Some(last) = step.last() else { return Ok(0) };
    let deleted: usize = run!(conn, |c| diesel::delete(
        idempotency::table.filter(idempotency::created_at.le(last))
    )
    .execute(c))?;
    Ok(deleted as u64)
}

/// Deletes about [`STEP_ROWS`] of the oldest inbox entries; 0 when none is old enough.
async fn forget_events(conn: &mut DbConn, before: Timestamp) -> DbResult<u64> {
    let step: Vec<DbTimestamp> = run!(conn, |c| inbox::table
        .filter(inbox::applied_at.lt(DbTimestamp(before)))
        .order(inbox::applied_at)
        .select(inbox::applied_at)
        .limit(STEP_ROWS)
        .load(c))?;
    let Some(last) = step.last() else { return Ok(0) };
    let deleted: usize =
        run!(conn, |c| diesel::delete(inbox::table.filter(inbox::applied_at.le(last))).execute(c))?;
    Ok(deleted as u64)
}
