//! What a unit of work writes beside its caller's rows, in the same transaction.

mod audit;
mod idempotency;
mod inbox;
mod jobs;
mod outbox;

use std::sync::Arc;

use parking_lot::RwLock;
use troupe_actors::Scope;
use troupe_kernel::{AuditRecord, Event, Failure, Job, SharedClock, Timestamp};
use uuid::Uuid;

pub(crate) use idempotency::{Reservation, reserve, store};
pub(crate) use inbox::first_delivery;

use crate::connection::DbConn;

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

    /// Writes everything and says which kinds there were.
    pub(crate) async fn write(
        &mut self,
        conn: &mut DbConn,
        circumstances: &Circumstances<'_>,
    ) -> Result<Vec<Effect>, Failure> {
        let mut kinds = Vec::new();
        for (present, kind) in [
            (!self.events.is_empty(), Effect::Events),
            (!self.jobs.is_empty(), Effect::Jobs),
            (!self.audit.is_empty(), Effect::Audit),
        ] {
            if present {
                kinds.push(kind);
            }
        }
        for record in self.audit.drain(..) {
            audit::insert(conn, circumstances, record).await?;
        }
        for (id, job) in self.jobs.drain(..) {
            jobs::insert(conn, circumstances, id, job).await?;
        }
        // Last, so that positions are drawn as late as possible.
        for event in self.events.drain(..) {
            outbox::insert(conn, circumstances, event).await?;
        }
        Ok(kinds)
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
        self.scope
            .origin()
            .map(|origin| format!("00-{:032x}-{:016x}-01", origin.trace, origin.span))
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
