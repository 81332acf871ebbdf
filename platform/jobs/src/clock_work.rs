//! The actor that adds the jobs of schedules.
//!
//! Mailbox 16, permanent. A crash loses nothing: the ticks are in the database. A tick that was missed
//! while no node ran is made up for once, however many were missed; a tick whose job of the tick before
//! still waits or runs adds none.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};
use troupe_actors::{ChildSpec, Context, Handled, Lent, Scope, Service, ServiceRef, Spec, System};
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::{Failure, Job, JobHandler, Timestamp};

use crate::schedules;

const PERIOD: Duration = Duration::from_secs(1);
const TICK_TIMEOUT: Duration = Duration::from_secs(20);

/// Adds the jobs that are due; answers how many.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tick;

troupe_actors::protocol! {
    /// What the clock work understands.
    pub enum ClockMessage("jobs.clock", 1) redact [] {
        /// Adds the jobs that are due.
        Tick => u32,
    }
}

/// When a kind of job recurs.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    kind: String,
    queue: String,
    cron: Cron,
    /// No tick before this one is due; it spares the look at the database.
    next: Option<Timestamp>,
}

impl Schedule {
    /// The schedule of a handler, if it has one.
    pub(crate) fn of(handler: &JobHandler) -> Result<Option<Self>, String> {
        let Some(text) = handler.schedule() else { return Ok(None) };
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| {
            format!(
                "the schedule `{text}` of the job {} is not five fields of cron: {error}",
                handler.kind()
            )
        })?;
        Ok(Some(Self {
            kind: handler.kind().to_owned(),
            queue: handler.queue().to_owned(),
            cron,
            next: None,
        }))
    }

    /// The last tick up to `now`.
    fn tick_before(&self, now: Timestamp) -> Option<Timestamp> {
        let tick = self.cron.find_previous_occurrence(&now.to_datetime(), true).ok()?;
        Some(Timestamp::from_datetime(tick))
    }

    fn tick_after(&self, now: Timestamp) -> Option<Timestamp> {
        let tick = self.cron.find_next_occurrence(&now.to_datetime(), false).ok()?;
        Some(Timestamp::from_datetime(tick))
    }
}

/// The actor.
pub(crate) struct ClockWork {
    db: Db,
    schedules: Vec<Schedule>,
}

impl ClockWork {
    pub(crate) fn spec(
        system: &System,
        db: &Db,
        schedules: Vec<Schedule>,
    ) -> (ServiceRef<ClockMessage>, ChildSpec) {
        let db = db.clone();
        Spec::new(system, "clock", move || Self { db: db.clone(), schedules: schedules.clone() })
            .capacity(16)
            .build()
    }

    async fn tick(&mut self) -> Result<u32, Failure> {
        let now = self.db.clock().now();
        let mut added = 0;
        for schedule in &mut self.schedules {
            if schedule.next.is_some_and(|next| now < next) {
                continue;
            }
            if let Some(tick) = schedule.tick_before(now)
                && take(&self.db, schedule, tick, now).await?
            {
                added += 1;
            }
            schedule.next = schedule.tick_after(now);
        }
        Ok(added)
    }
}

/// Takes the tick and adds its job in one transaction, unless another node did.
async fn take(
    db: &Db,
    schedule: &Schedule,
    tick: Timestamp,
    now: Timestamp,
) -> Result<bool, Failure> {
    let scope = Scope::system("jobs.clock", TICK_TIMEOUT);
    let taken = db
        .transaction(&scope, async |uow: &mut UnitOfWork| {
            let last = schedules::last_tick(uow.conn(), &schedule.kind, now).await?;
            if last >= tick || !schedules::take_tick(uow.conn(), &schedule.kind, tick).await? {
                return Ok(false);
            }
            let unique = format!("schedule:{}", schedule.kind);
            uow.job(Job::new(&schedule.kind, &()).queue(&schedule.queue).unique(unique));
            Ok(true)
        })
        .await?;
    if taken {
        metrics::counter!("jobs_scheduled_total", "kind" => schedule.kind.clone()).increment(1);
        tracing::debug!(kind = schedule.kind, %tick, "a schedule added its job");
    }
    Ok(taken)
}

impl Service for ClockWork {
    type Message = ClockMessage;

    async fn start(&mut self, ctx: &mut Context<ClockMessage>) -> Handled {
        if self.schedules.is_empty() {
            return Ok(());
        }
        ctx.every(PERIOD, || Tick.into())
    }

    async fn handle(
        &mut self,
        message: &mut Lent<ClockMessage>,
        ctx: &mut Context<ClockMessage>,
    ) -> Handled {
        let ClockMessage::Tick(tick) = &**message;
        let added = self.tick().await?;
        ctx.reply(tick, added)
    }
}
