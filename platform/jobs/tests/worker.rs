//! A service that does what the payload of a job says, and a node with the scheduler.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use troupe_actors::{
    Context, Handled, Lent, Running, Scope, Service, Spec, Supervisor, System, SystemConfig,
};
use troupe_database::testing::TestDatabase;
use troupe_database::{Db, Dialect, UnitOfWork};
use troupe_jobs::{JobFilter, JobRecord, Jobs, JobsConfig, MIGRATIONS};
use troupe_kernel::{Failure, Job, JobContext, JobHandler, PageRequest, Uuid};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Work {
    pub(crate) number: u64,
    pub(crate) key: String,
    /// How long it takes.
    pub(crate) millis: u64,
    /// So many attempts fail.
    pub(crate) failures: u16,
    /// How they fail: `again`, `hopeless`, `away` or `panic`.
    pub(crate) how: String,
    pub(crate) attempt: u16,
}

troupe_actors::protocol! {
    /// What the worker understands.
    pub(crate) enum WorkerMessage("worker", 1) redact [] {
        /// Does a job.
        Work => (),
    }
}

/// What the worker did; shared with the test.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) begun: Vec<u64>,
    pub(crate) done: Vec<u64>,
    at_once: usize,
    pub(crate) at_once_max: usize,
    of_key: BTreeMap<String, usize>,
    pub(crate) of_key_max: usize,
}

pub(crate) type Shared = Arc<Mutex<Notes>>;

struct Worker {
    notes: Shared,
}

impl Service for Worker {
    type Message = WorkerMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<WorkerMessage>,
        ctx: &mut Context<WorkerMessage>,
    ) -> Handled {
        let WorkerMessage::Work(work) = &**message;
        self.begin(work);
        tokio::time::sleep(Duration::from_millis(work.millis)).await;
        self.end(work);
        if work.attempt <= work.failures {
            match work.how.as_str() {
                "hopeless" => return Err(Failure::invalid("worker.hopeless", "never")),
                "away" => return Err(Failure::unavailable("worker.away", "later")),
                "panic" => panic!("told to"),
                _ => return Err(Failure::conflict("worker.again", "not yet")),
            }
        }
        self.notes.lock().done.push(work.number);
        ctx.reply(work, ())
    }
}

impl Worker {
    fn begin(&self, work: &Work) {
        let mut notes = self.notes.lock();
        notes.begun.push(work.number);
        notes.at_once += 1;
        notes.at_once_max = notes.at_once_max.max(notes.at_once);
        if !work.key.is_empty() {
            let of_key = notes.of_key.entry(work.key.clone()).or_default();
            *of_key += 1;
            let now = *of_key;
            notes.of_key_max = notes.of_key_max.max(now);
        }
    }

    fn end(&self, work: &Work) {
        let mut notes = self.notes.lock();
        notes.at_once -= 1;
        if let Some(of_key) = notes.of_key.get_mut(&work.key) {
            *of_key -= 1;
        }
    }
}

/// A node with the scheduler and the worker.
pub(crate) struct Node {
    pub(crate) db: Db,
    pub(crate) jobs: Jobs,
    running: Running,
}

/// Short waits.
pub(crate) fn config() -> JobsConfig {
    JobsConfig {
        poll: Duration::from_millis(50),
        retry_first: Duration::from_millis(1),
        retry_max: Duration::from_millis(20),
        lease: Duration::from_secs(1),
        drain: Duration::from_millis(300),
        ..JobsConfig::default()
    }
}

impl Node {
    pub(crate) async fn start(db: Db, notes: &Shared, config: JobsConfig) -> Self {
        Self::scheduled(db, notes, config, &[]).await
    }

    /// A node whose handlers also recur: kinds with their schedules.
    pub(crate) async fn scheduled(
        db: Db,
        notes: &Shared,
        config: JobsConfig,
        schedules: &[(&str, &str)],
    ) -> Self {
        // Every message passes through its encoding, as between nodes.
        let system = System::new(SystemConfig { wire_always: true, ..SystemConfig::default() });
        let jobs = Jobs::new(&db, config);
        let notes = notes.clone();
        let (worker, child) = Spec::new(&system, "worker", move || Worker { notes: notes.clone() })
            .workers(32)
            .stop_within(Duration::from_millis(200))
            .build();
        let translate = |job: &JobContext| {
            let work = if job.job.payload.is_null() { Work::default() } else { job.payload()? };
            Ok(Work { attempt: job.attempt, ..work })
        };
        let mut handlers = vec![JobHandler::new("test.work").ask(&worker, translate)];
        for (kind, schedule) in schedules {
            handlers.push(JobHandler::new(*kind).cron(*schedule).ask(&worker, translate));
        }
        let queues = jobs.queues(&system, handlers).unwrap();
        let root = Supervisor::new(&system, "root").child(child).child(queues);
        let running = system.start(root.into_spec()).await.unwrap();
        Self { db, jobs, running }
    }

    /// Stops without draining first.
    pub(crate) async fn stop(self) {
        self.running.shutdown().await;
    }

    pub(crate) async fn all(&self) -> Vec<JobRecord> {
        self.jobs.list(&JobFilter::default(), &PageRequest::default()).await.unwrap().items
    }
}

/// A node in a runtime of its own, which ends as a killed process does.
pub(crate) struct Mortal {
    runtime: tokio::runtime::Runtime,
}

impl Mortal {
    pub(crate) async fn start(database: &TestDatabase, notes: &Shared, config: JobsConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (database, notes) = (database.config(), notes.clone());
        let node = runtime.spawn(async move {
            let node = Node::start(Db::open(&database).await.unwrap(), &notes, config).await;
            // It lives as long as the runtime.
            std::mem::forget(node);
        });
        node.await.unwrap();
        Self { runtime }
    }

    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }
}

pub(crate) fn scope() -> Scope {
    Scope::system("test", Duration::from_secs(20))
}

pub(crate) fn job(work: &Work) -> Job {
    let job = Job::new("test.work", work);
    if work.key.is_empty() { job } else { job.key(&work.key) }
}

/// Adds jobs in one transaction and answers their ids.
pub(crate) async fn add(db: &Db, jobs: Vec<Job>) -> Vec<Uuid> {
    db.transaction(&scope(), async |uow: &mut UnitOfWork| {
        Ok(jobs.iter().map(|job| uow.job(job.clone())).collect())
    })
    .await
    .unwrap()
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to be: {what}");
}

/// Runs a test on a database of each dialect that several nodes may open.
pub(crate) async fn on_both(test: impl AsyncFn(&TestDatabase)) {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Some(database) = TestDatabase::create(dialect, MIGRATIONS).await else { continue };
        test(&database).await;
        database.remove().await;
    }
}
