//! What a unit of work writes beside its caller's rows, in the same transaction.

mod audit;
mod idempotency;
mod inbox;
mod jobs;
mod outbox;

use std::sync::Arc;

use diesel::connection::Connection;
use diesel::pg::Pg;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;
use diesel_async::{AsyncConnectionCore, AsyncPgConnection};
use parking_lot::RwLock;
use troupe_actors::{Origin, Scope};
use troupe_kernel::{AuditRecord, Event, Failure, Job, SharedClock, Timestamp};
use uuid::Uuid;

pub(crate) use idempotency::{Reservation, reserve, store};
pub(crate) use inbox::first_delivery;

use crate::query::Running;

/// A kind of effect that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Rows in the outbox.
    Events,
    /// Rows in the job queue.
    Jobs,
    /// Rows in the audit queue.
    Audit,
}

/// The effects that wait for the end of the transaction.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    events: Vec<Event>,
    jobs: Vec<(Uuid, Job)>,
    audit: Vec<AuditRecord>,
}

/// How many effects there were at some point, to go back to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    events: usize,
    jobs: usize,
    audit: usize,
}

impl Effects {
    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn job(&mut self, id: Uuid, job: Job) {
        self.jobs.push((id, job));
    }

    pub(crate) fn audit(&mut self, record: AuditRecord) {
        self.audit.push(record);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { events: self.events.len(), jobs: self.jobs.len(), audit: self.audit.len() }
    }

    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.events.truncate(mark.events);
        self.jobs.truncate(mark.jobs);
        self.audit.truncate(mark.audit);
    }

    /// Which kinds there are.
    pub(crate) fn kinds(&self) -> Vec<Effect> {
        [
            (!self.events.is_empty(), Effect::Events),
            (!self.jobs.is_empty(), Effect::Jobs),
            (!self.audit.is_empty(), Effect::Audit),
        ]
        .into_iter()
        .filter_map(|(is_present, kind)| is_present.then_some(kind))
        .collect()
    }

    /// The statements that write everything, in their order.
    pub(crate) fn into_writes(
        self,
        circumstances: &Circumstances<'_>,
    ) -> Result<Vec<Write>, Failure> {
        let mut writes: Vec<Write> = Vec::new();
        for record in &self.audit {
            writes.push(Box::new(audit::insertion(circumstances, record)?));
        }
        for (id, job) in self.jobs {
            writes.push(Box::new(jobs::insertion(circumstances, id, job)));
        }
        // Last, so that positions are drawn as late as possible.
        for event in self.events {
            writes.push(Box::new(outbox::insertion(circumstances, event)));
        }
        Ok(writes)
    }
}

/// A statement that writes one effect.
pub(crate) type Write = Box<dyn Statement>;

/// A statement for either dialect whose type is forgotten.
pub(crate) trait Statement: Send {
    /// Runs it on this thread.
    fn on_sqlite(&self, conn: &mut diesel::SqliteConnection) -> QueryResult<usize>;

    /// Sends it when the future is first polled, behind what was sent before.
    fn on_postgres<'c>(self: Box<Self>, conn: &'c AsyncPgConnection) -> Running<'c, usize>;
}

impl<T> Statement for T
where
    T: QueryFragment<Pg> + QueryFragment<Sqlite> + QueryId + Send + 'static,
{
    fn on_sqlite(&self, conn: &mut diesel::SqliteConnection) -> QueryResult<usize> {
        conn.execute_returning_count(self)
    }

    fn on_postgres<'c>(self: Box<Self>, mut conn: &'c AsyncPgConnection) -> Running<'c, usize> {
        conn.execute_returning_count(*self)
    }
}

/// What effects take from the unit of work.
pub(crate) struct Circumstances<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) clock: &'a SharedClock,
}

impl Circumstances<'_> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// W3C `traceparent` of the scope.
    fn trace(&self) -> Option<String> {
        self.scope.origin().map(Origin::traceparent)
    }
}

type Waker = Arc<dyn Fn() + Send + Sync>;

/// Who is told after a commit that there is something to do.
#[derive(Default)]
pub(crate) struct Wakers {
    list: RwLock<Vec<(Effect, Waker)>>,
}

impl Wakers {
    pub(crate) fn add(&self, effect: Effect, waker: Waker) {
        self.list.write().push((effect, waker));
    }

    pub(crate) fn wake(&self, kinds: &[Effect]) {
        if kinds.is_empty() {
            return;
        }
        let wakers: Vec<Waker> = {
            let list = self.list.read();
            list.iter()
                .filter(|(effect, _)| kinds.contains(effect))
                .map(|(_, waker)| Arc::clone(waker))
                .collect()
        };
        for waker in wakers {
            waker();
        }
    }
}

impl std::fmt::Debug for Wakers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Wakers({})", self.list.read().len())
    }
}

type Guard = Arc<dyn Fn() -> Option<Failure> + Send + Sync>;

/// Who may refuse effects before they are committed.
#[derive(Default)]
pub(crate) struct Guards {
    list: RwLock<Vec<(Effect, Guard)>>,
}

impl Guards {
    pub(crate) fn add(&self, effect: Effect, guard: Guard) {
        self.list.write().push((effect, guard));
    }

    /// The first refusal of effects of these kinds.
    pub(crate) fn ask(&self, kinds: &[Effect]) -> Result<(), Failure> {
        if kinds.is_empty() {
            return Ok(());
        }
        let list = self.list.read();
        let mut asked = list.iter().filter(|(effect, _)| kinds.contains(effect));
        asked.find_map(|(_, guard)| guard()).map_or(Ok(()), Err)
    }
}
