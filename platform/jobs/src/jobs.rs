//! The handle on the scheduler: starts the queues, adds, lists, revives and cancels jobs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use troupe_actors::{ChildSpec, Failure, Scope, ServiceRef, Supervisor, System};
use troupe_database::{Db, DbConn, Effect, UnitOfWork};
use troupe_kernel::{BoxFuture, InitFault, Job, JobHandler, Page, PageRequest, Scheduler, Uuid};

use crate::clock_work::{ClockMessage, ClockWork, Schedule};
use crate::config::JobsConfig;
use crate::queue::{Bell, Queue};
use crate::record::{JobFilter, JobRecord, QueueStats};
use crate::run::{self, Workshop};
use crate::store;

/// The scheduler of this node; clones share it.
#[derive(Clone)]
pub struct Jobs {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    config: JobsConfig,
    node: Uuid,
    at_work: OnceLock<AtWork>,
}

struct AtWork {
    workshop: Arc<Workshop>,
    queues: BTreeSet<String>,
    clock: ServiceRef<ClockMessage>,
}

impl Jobs {
    /// The scheduler over this database. Jobs run when [`queues`](Self::queues) are started.
    #[must_use]
    pub fn new(db: &Db, config: JobsConfig) -> Self {
        let node = troupe_kernel::ids::new_id(&**db.clock());
        Self { shared: Arc::new(Shared { db: db.clone(), config, node, at_work: OnceLock::new() }) }
    }

    /// The actors: one for each queue that a handler or the configuration names and for `default`, and
    /// the clock work of the schedules. Start them after the services that the handlers ask.
    ///
    /// # Errors
    /// Every schedule that is not cron.
    ///
    /// # Panics
    /// When it is called a second time: a queue has one actor in a node.
    pub fn queues(
        &self,
        system: &System,
        handlers: Vec<JobHandler>,
    ) -> Result<ChildSpec, Vec<InitFault>> {
        let Shared { db, config, node, at_work } = &*self.shared;
        let mut queues: BTreeSet<String> = config.queues.keys().cloned().collect();
        queues.insert("default".to_owned());
        queues.extend(handlers.iter().map(|handler| handler.queue().to_owned()));
        let (mut schedules, mut faults) = (Vec::new(), Vec::new());
        for handler in &handlers {
            match Schedule::of(handler) {
                Ok(schedule) => schedules.extend(schedule),
                Err(detail) => faults.push(InitFault::new(detail)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        handlers.iter().for_each(run::announce);
        let workshop = Arc::new(Workshop {
            db: db.clone(),
            config: config.clone(),
            node: *node,
            handlers: handlers
                .into_iter()
                .map(|handler| (handler.kind().to_owned(), handler))
                .collect(),
            running: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        });
        let (clock, child) = ClockWork::spec(system, db, schedules);
        let restarts_max = u32::try_from(queues.len()).unwrap_or(u32::MAX).saturating_mul(3).max(5);
        let mut supervisor = Supervisor::new(system, "jobs")
            .intensity(restarts_max, Duration::from_secs(10))
            .child(child);
        let mut bells: Vec<Bell> = Vec::new();
        for queue in &queues {
            let (bell, child) = Queue::spec(system, &workshop, queue);
            bells.push(bell);
            supervisor = supervisor.child(child);
        }
        db.wake_on(Effect::Jobs, move || bells.iter().for_each(Bell::ring));
        let first = at_work.set(AtWork { workshop, queues, clock }).is_ok();
        assert!(first, "the queues of a node are made once");
        Ok(supervisor.into_spec())
    }

    /// The actor of the schedules, once the queues are made.
    #[must_use]
    pub fn clock(&self) -> Option<&ServiceRef<ClockMessage>> {
        self.shared.at_work.get().map(|at_work| &at_work.clock)
    }

    /// Begins no more jobs and waits for those that run, at most as long as configured; answers how many
    /// still run. They are handed back when the queues stop.
    pub async fn drain(&self) -> usize {
        let Some(at_work) = self.shared.at_work.get() else { return 0 };
        at_work.workshop.draining.store(true, Ordering::Release);
        let running = || at_work.workshop.running.load(Ordering::Acquire);
        let drained = async {
            while running() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        drop(tokio::time::timeout(self.shared.config.drain, drained).await);
        running()
    }

    /// One job.
    ///
    /// # Errors
    /// `jobs.job.missing`: a job that was done is gone.
    pub async fn job(&self, id: Uuid) -> Result<JobRecord, Failure> {
        let job =
            self.shared.db.read(async |conn: &mut DbConn| Ok(store::find(conn, id).await?)).await?;
        job.ok_or_else(missing)
    }

    /// The newest jobs that match.
    ///
    /// # Errors
    /// A cursor of another list, or when the database does not answer.
    pub async fn list(
        &self,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> Result<Page<JobRecord>, Failure> {
        let before: Option<Uuid> = page.position()?;
        let rows = page.rows();
        let jobs = self
            .shared
            .db
            .read(async |conn: &mut DbConn| Ok(store::list(conn, filter, before, rows).await?))
            .await?;
        Ok(Page::from_rows(jobs, page, |job| job.id))
    }

    /// Jobs by queue and state. A queue that is not `served` has jobs and no actor in this node.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stats(&self) -> Result<Vec<QueueStats>, Failure> {
        let rows =
            self.shared.db.read(async |conn: &mut DbConn| Ok(store::stats(conn).await?)).await?;
        let served = |queue: &str| {
            self.shared.at_work.get().is_some_and(|at_work| at_work.queues.contains(queue))
        };
        let mut stats = Vec::with_capacity(rows.len());
        for (queue, state, jobs, first_due) in rows {
            let Ok(state) = state.parse() else { continue };
            stats.push(QueueStats {
                served: served(&queue),
                queue,
                state,
                jobs: u64::try_from(jobs).unwrap_or(0),
                first_due: first_due.map(Into::into),
            });
        }
        Ok(stats)
    }

    /// Puts a dead job back with all its attempts.
    ///
    /// # Errors
    /// `jobs.job.missing`, `jobs.job.not_dead`, or `jobs.job.not_unique` when another job with its unique
    /// value waits or runs.
    pub async fn retry(&self, scope: &Scope, id: Uuid) -> Result<(), Failure> {
        let now = self.shared.db.clock().now();
        self.shared
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let revived = store::revive(uow.conn(), id, now).await;
                if revived.map_err(|error| error.unique_or("jobs_unique_key_key", not_unique))? {
                    return Ok(());
                }
                match store::find(uow.conn(), id).await? {
                    None => Err(missing()),
                    Some(job) => Err(Failure::conflict(
                        "jobs.job.not_dead",
                        format!("the job is {}; only a dead one is put back", job.state),
                    )),
                }
            })
            .await?;
        self.wake();
        Ok(())
    }

    /// Removes a job that waits or is dead; answers whether it did. A running job is not interrupted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove(&self, scope: &Scope, id: Uuid) -> Result<bool, Failure> {
        self.take(scope, id, &["waiting", "dead"]).await
    }

    async fn take(&self, scope: &Scope, id: Uuid, states: &[&str]) -> Result<bool, Failure> {
        self.shared
            .db
            .transaction(scope, async |uow: &mut UnitOfWork| {
                Ok(store::remove(uow.conn(), id, states).await?)
            })
            .await
    }

    fn wake(&self) {
        self.shared.db.wake(Effect::Jobs);
    }

    async fn add(&self, job: Job, scope: &Scope) -> Result<Uuid, Failure> {
        self.shared
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                if let Some(unique) = &job.unique
                    && let Some(id) = store::find_unique(uow.conn(), unique).await?
                {
                    return Ok(id);
                }
                Ok(uow.job(job.clone()))
            })
            .await
    }
}

fn missing() -> Failure {
    Failure::not_found("jobs.job.missing", "there is no such job; a job that was done is gone")
}

fn not_unique() -> Failure {
    Failure::conflict(
        "jobs.job.not_unique",
        "another job with the same unique value waits or runs already",
    )
}

impl Scheduler for Jobs {
    fn schedule<'a>(&'a self, job: Job, scope: &'a Scope) -> BoxFuture<'a, Result<Uuid, Failure>> {
        Box::pin(self.add(job, scope))
    }

    fn cancel<'a>(&'a self, id: Uuid, scope: &'a Scope) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(self.take(scope, id, &["waiting"]))
    }
}
