//! One attempt of a job: ask the service, show signs of life meanwhile, note how it ended.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use metrics::Counter;
use tokio::time::Instant;
use troupe_actors::{Failure, FailureKind, Scope};
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::{Job, JobContext, JobHandler, Uuid};

use crate::config::JobsConfig;
use crate::record::JobRecord;
use crate::store::{self, Held, Setback};

/// How long the statements about a job may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
/// How much of a failure is kept.
const ERROR_CHARS_MAX: usize = 2_000;

/// What all queues of this process share.
pub(crate) struct Workshop {
    pub(crate) db: Db,
    pub(crate) config: JobsConfig,
    /// This process, the holder of leases.
    pub(crate) node: Uuid,
    pub(crate) handlers: HashMap<String, JobHandler>,
    pub(crate) running: AtomicUsize,
    pub(crate) draining: AtomicBool,
}

impl Workshop {
    pub(crate) fn scope(&self) -> Scope {
        Scope::system("jobs.queue", STATEMENT_TIMEOUT)
    }

    /// Does one attempt and notes its end.
    pub(crate) async fn run(self: Arc<Self>, job: JobRecord) {
        self.running.fetch_add(1, Ordering::AcqRel);
        let _running = Running(self.clone());
        let held = Held { id: job.id, node: self.node, attempt: job.attempts };
        let began = Instant::now();
        let Some(result) = self.attempt_with_lease(&job, &held).await else {
            count(&job, "lost");
            tracing::warn!(job = %job.id, kind = job.kind, "the lease of a job was lost while it ran; another process has it");
            return;
        };
        metrics::histogram!("jobs_seconds", "kind" => job.kind.clone())
            .record(began.elapsed().as_secs_f64());
        let noted = match result {
            Ok(()) => self.complete(&job, held).await,
            Err(failure) => self.set_back(&job, held, &failure).await,
        };
        if let Err(failure) = noted {
            tracing::error!(job = %job.id, kind = job.kind, %failure,
                "the end of a job could not be noted; it will be done again when its lease ends");
        }
    }

    /// The result, or none when the lease was lost meanwhile.
    async fn attempt_with_lease(
        &self,
        job: &JobRecord,
        held: &Held,
    ) -> Option<Result<(), Failure>> {
        let work = self.attempt(job);
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return Some(result),
                () = tokio::time::sleep(self.config.lease / 3) => {
                    let (held, until) = (*held, self.db.clock().now().plus(self.config.lease));
                    let renewed = self
                        .db
                        .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                            Ok(store::renew(uow.conn(), &held, until).await?)
                        })
                        .await;
                    match renewed {
                        Ok(true) => {}
                        Ok(false) => return None,
                        // The lease may end meanwhile; the note at the end finds out.
                        Err(failure) => tracing::warn!(job = %job.id, %failure, "a lease was not renewed"),
                    }
                }
            }
        }
    }

    async fn attempt(&self, job: &JobRecord) -> Result<(), Failure> {
        let Some(handler) = self.handlers.get(&job.kind) else {
            return Err(Failure::internal(
                "jobs.handler.missing",
                format!("nobody does {} jobs here", job.kind),
            ));
        };
        let context = JobContext {
            id: job.id,
            attempt: job.attempts,
            job: Job {
                kind: job.kind.clone(),
                payload: job.payload.clone(),
                queue: job.queue.clone(),
                key: job.key.clone(),
                run_at: Some(job.run_at),
                attempts_max: job.attempts_max,
                unique: job.unique.clone(),
            },
        };
        let scope = scope_of(job, handler.time_limit());
        let limit = handler.time_limit() + Duration::from_secs(1);
        let run = AssertUnwindSafe(async { handler.run(&context, &scope).await }).catch_unwind();
        match tokio::time::timeout(limit, run).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::new(
                FailureKind::Crashed,
                "jobs.handler.crashed",
                "the handler panicked on this job; the crash is in the log",
            )),
            Err(_) => Err(Failure::new(
                FailureKind::Expired,
                "jobs.handler.expired",
                "the service did not answer in time",
            )),
        }
    }

    async fn complete(&self, job: &JobRecord, held: Held) -> Result<(), Failure> {
        let done = self
            .db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                Ok(store::complete(uow.conn(), &held).await?)
            })
            .await?;
        count(job, if done { "done" } else { "lost" });
        Ok(())
    }

    async fn set_back(
        &self,
        job: &JobRecord,
        held: Held,
        failure: &Failure,
    ) -> Result<(), Failure> {
        let now = self.db.clock().now();
        let setback = Setback {
            run_at: self.next_attempt(job, failure).map(|wait| now.plus(wait)),
            error: failure.to_string().chars().take(ERROR_CHARS_MAX).collect(),
            now,
        };
        if setback.run_at.is_none() {
            tracing::error!(job = %job.id, kind = job.kind, attempts = job.attempts, %failure, "a job is dead");
        } else {
            tracing::debug!(job = %job.id, kind = job.kind, attempts = job.attempts, %failure, "a job failed; it is tried again");
        }
        let dead = setback.run_at.is_none();
        let noted = self
            .db
            .transaction(&self.scope(), async move |uow: &mut UnitOfWork| {
                Ok(store::set_back(uow.conn(), &held, &setback).await?)
            })
            .await?;
        count(
            job,
            match (noted, dead) {
                (false, _) => "lost",
                (true, true) => "dead",
                (true, false) => "retried",
            },
        );
        Ok(())
    }

    /// The wait before the next attempt; none when there is none.
    fn next_attempt(&self, job: &JobRecord, failure: &Failure) -> Option<Duration> {
        let hopeless = matches!(
            failure.kind(),
            FailureKind::Invalid
                | FailureKind::Malformed
                | FailureKind::TooLarge
                | FailureKind::UnsupportedMedia
        );
        let away = matches!(
            failure.kind(),
            FailureKind::Unavailable
                | FailureKind::Overloaded
                | FailureKind::Stopped
                | FailureKind::RateLimited
        );
        let young = self.age(job) < self.config.outage_max;
        if hopeless || (job.attempts >= job.attempts_max && !(away && young)) {
            return None;
        }
        let wait = self
            .config
            .backoff()
            .wait(u32::from(job.attempts).saturating_sub(1), job.id.as_u64_pair().1);
        Some(
            wait.max(failure.retry_after_duration().unwrap_or_default().min(self.config.retry_max)),
        )
    }

    /// The time since the job was added, by its id.
    fn age(&self, job: &JobRecord) -> Duration {
        let millis = i64::try_from(job.id.as_u128() >> 80).unwrap_or(0);
        let added = troupe_kernel::Timestamp::from_micros(millis.saturating_mul(1_000));
        self.db.clock().now().since(added)
    }
}

/// Counts a running job off, also when its future is dropped.
struct Running(Arc<Workshop>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

fn count(job: &JobRecord, outcome: &'static str) {
    finished(&job.queue, &job.kind, outcome).increment(1);
}

fn finished(queue: &str, kind: &str, outcome: &'static str) -> Counter {
    metrics::counter!("jobs_finished_total", "queue" => queue.to_owned(), "kind" => kind.to_owned(), "outcome" => outcome)
}

/// Counts from zero: the increase of a counter that begins with its first event is not seen.
pub(crate) fn announce(handler: &JobHandler) {
    for outcome in ["done", "retried", "dead", "lost"] {
        finished(handler.queue(), handler.kind(), outcome).increment(0);
    }
}

/// The circumstances of an attempt: the platform acts, in the tenant and trace of the job's cause.
fn scope_of(job: &JobRecord, limit: Duration) -> Scope {
    let mut scope = Scope::system(&format!("jobs.{}", job.kind), limit);
    if let Some(tenant) = job.tenant {
        scope = scope.for_tenant(tenant.into());
    }
    if let Some(trace) = &job.trace {
        scope.origin_mut().follow(trace);
    }
    scope
}
