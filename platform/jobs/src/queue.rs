//! The actor of one queue: claims as many due jobs as there are free places and runs them beside its
//! mailbox.
//!
//! Mailbox 256, permanent. A crash aborts the running jobs; the next incarnation puts them back at once.
//! A process that dies leaves them to their leases.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use troupe_actors::{
    ChildSpec, Context, Failure, Handled, Lent, Scope, Service, ServiceRef, Spec, System,
};
use troupe_database::{DbConn, DbError, Dialect, UnitOfWork};

use crate::record::JobRecord;
use crate::run::Workshop;
use crate::store::{self, Claim, Lost};

/// Jobs were added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wake;

/// It is time to look.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Poll;

/// A claim has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claimed {
    jobs: Vec<JobRecord>,
}

/// A job has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finished;

troupe_actors::protocol! {
    /// What a queue understands.
    pub enum QueueMessage("jobs.queue", 1) redact ["payload"] {
        /// Jobs were added.
        Wake,
        /// It is time to look.
        Poll,
        /// A claim has ended.
        Claimed,
        /// A job has ended.
        Finished,
    }
}

/// Wakes a queue at most once until it looks.
#[derive(Clone)]
pub(crate) struct Bell {
    rung: Arc<AtomicBool>,
    service: ServiceRef<QueueMessage>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let scope = Scope::system("jobs.wake", Duration::from_secs(60));
        if self.service.tell(&scope, Wake).is_err() {
            // Full or stopped: it looks by itself.
            self.rung.store(false, Ordering::Release);
        }
    }
}

/// The actor.
pub(crate) struct Queue {
    name: Arc<str>,
    /// The kinds of job this node has handlers for.
    kinds: Arc<[String]>,
    places: usize,
    workshop: Arc<Workshop>,
    rung: Arc<AtomicBool>,
    running: usize,
    claiming: bool,
    again: bool,
}

impl Queue {
    /// The bell and the specification for a supervisor.
    pub(crate) fn spec(system: &System, workshop: &Arc<Workshop>, name: &str) -> (Bell, ChildSpec) {
        let rung = Arc::new(AtomicBool::new(false));
        let mut kinds: Vec<String> = workshop.handlers.keys().cloned().collect();
        kinds.sort_unstable();
        let (shared, kinds): (_, Arc<[String]>) = (rung.clone(), kinds.into());
        let (workshop, queue): (_, Arc<str>) = (workshop.clone(), name.into());
        let places = workshop.config.concurrency_of(name);
        let (service, child) = Spec::new(system, name, move || Self {
            name: queue.clone(),
            kinds: kinds.clone(),
            places,
            workshop: workshop.clone(),
            rung: shared.clone(),
            running: 0,
            claiming: false,
            again: false,
        })
        .capacity(256.max(places * 2))
        .build();
        (Bell { rung, service }, child)
    }

    /// Claims for the free places, one claim at a time.
    fn look(&mut self, ctx: &mut Context<QueueMessage>) -> Handled {
        let free = self.places.saturating_sub(self.running);
        if free == 0 || self.kinds.is_empty() || self.workshop.draining.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.claiming {
            self.again = true;
            return Ok(());
        }
        self.claiming = true;
        let (workshop, queue, kinds) =
            (self.workshop.clone(), self.name.clone(), self.kinds.clone());
        ctx.run(async move {
            let claimed =
                AssertUnwindSafe(claim(&workshop, &queue, &kinds, free)).catch_unwind().await;
            let jobs = match claimed {
                Ok(Ok(jobs)) => jobs,
                Ok(Err(failure)) => {
                    tracing::debug!(queue = &*queue, %failure, "a queue could not look for jobs");
                    Vec::new()
                }
                Err(_) => Vec::new(),
            };
            Some(Claimed { jobs }.into())
        })
    }

    fn begin(&mut self, jobs: Vec<JobRecord>, ctx: &mut Context<QueueMessage>) -> Handled {
        self.claiming = false;
        let again = std::mem::take(&mut self.again) || !jobs.is_empty();
        for job in jobs {
            self.running += 1;
            let workshop = self.workshop.clone();
            ctx.run(async move {
                // A panic here is a defect; the place must become free all the same.
                drop(AssertUnwindSafe(workshop.run(job)).catch_unwind().await);
                Some(Finished.into())
            })?;
        }
        self.measure();
        if again { self.look(ctx) } else { Ok(()) }
    }

    fn measure(&self) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("jobs_running", "queue" => self.name.to_string()).set(self.running as f64);
    }

    /// Puts back what earlier processes or incarnations left running.
    async fn take_back(&self, lost: Lost) -> Result<(), Failure> {
        let (queue, now) = (self.name.clone(), self.workshop.db.clock().now());
        let jobs = self
            .workshop
            .db
            .transaction(&self.workshop.scope(), async move |uow: &mut UnitOfWork| {
                Ok(store::take_back(uow.conn(), &queue, lost, now).await?)
            })
            .await?;
        if jobs > 0 {
            metrics::counter!("jobs_taken_back_total", "queue" => self.name.to_string())
                .increment(jobs as u64);
            tracing::warn!(
                queue = &*self.name,
                jobs,
                "jobs of a process that was lost were put back"
            );
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<(), Failure> {
        let (queue, now) = (self.name.clone(), self.workshop.db.clock().now());
        let lost = self
            .workshop
            .db
            .read(async move |conn: &mut DbConn| Ok(store::is_lost(conn, &queue, now).await?))
            .await?;
        if lost { self.take_back(Lost::Expired).await } else { Ok(()) }
    }
}

/// Takes up to `free` due jobs.
async fn claim(
    workshop: &Workshop,
    queue: &str,
    kinds: &[String],
    free: usize,
) -> Result<Vec<JobRecord>, Failure> {
    let claim = Claim {
        queue,
        kinds,
        node: workshop.node,
        now: workshop.db.clock().now(),
        lease: workshop.config.lease,
        limit: i64::try_from(free).unwrap_or(i64::MAX),
    };
    let due =
        workshop.db.read(async |conn: &mut DbConn| Ok(store::is_due(conn, &claim).await?)).await?;
    if !due {
        return Ok(Vec::new());
    }
    workshop
        .db
        .transaction(&workshop.scope(), async |uow: &mut UnitOfWork| {
            let claimed: Result<_, DbError> = uow
                .nested(async |uow: &mut UnitOfWork| store::claim(uow.conn(), &claim).await)
                .await;
            match claimed {
                // Another claimer began a job of the same key at the same moment; the next look finds it.
                Err(DbError::Unique { .. }) => Ok(Vec::new()),
                other => Ok(other?),
            }
        })
        .await
}

impl Service for Queue {
    type Message = QueueMessage;

    async fn start(&mut self, ctx: &mut Context<QueueMessage>) -> Handled {
        self.rung.store(false, Ordering::Release);
        let lost = match self.workshop.db.dialect() {
            Dialect::Postgres => Lost::Of(self.workshop.node),
            Dialect::Sqlite => Lost::All,
        };
        self.take_back(lost).await?;
        ctx.every(self.workshop.config.poll, || Poll.into())?;
        self.look(ctx)
    }

    async fn handle(
        &mut self,
        message: &mut Lent<QueueMessage>,
        ctx: &mut Context<QueueMessage>,
    ) -> Handled {
        match &mut **message {
            QueueMessage::Wake(_) => {
                self.rung.store(false, Ordering::Release);
                self.look(ctx)
            }
            QueueMessage::Poll(_) => {
                if let Err(failure) = self.poll().await {
                    tracing::debug!(queue = &*self.name, %failure, "a queue could not look for lost jobs");
                }
                self.look(ctx)
            }
            QueueMessage::Claimed(claimed) => {
                let jobs = std::mem::take(&mut claimed.jobs);
                self.begin(jobs, ctx)
            }
            QueueMessage::Finished(_) => {
                self.running = self.running.saturating_sub(1);
                self.measure();
                self.look(ctx)
            }
        }
    }

    async fn stop(&mut self, _ctx: &mut Context<QueueMessage>) {
        let (queue, node, now) =
            (self.name.clone(), self.workshop.node, self.workshop.db.clock().now());
        let handed = self
            .workshop
            .db
            .transaction(&self.workshop.scope(), async move |uow: &mut UnitOfWork| {
                Ok(store::hand_back(uow.conn(), &queue, node, now).await?)
            })
            .await;
        if let Err(failure) = handed {
            tracing::debug!(queue = &*self.name, %failure, "running jobs were not handed back; their leases will end");
        }
    }
}
