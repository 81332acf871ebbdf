//! The scheduler: queued, delayed and recurring jobs in the database.
//!
//! Jobs are rows that the unit of work adds in the transaction of their cause. Each queue has an actor
//! that claims due jobs under a lease and has their handlers ask the services, a bounded number at a
//! time. A job that fails is tried again with growing waits and is dead after its last attempt; the
//! lease of a process that died ends and another takes its jobs over. Of the jobs with one key at most
//! one runs. A schedule adds one job for each of its ticks, whatever number of nodes there is.
//!
//! A job is done at least once: its process may die between the work and the note of it. A handler that
//! must not do a thing twice uses `db.consume(scope, "its.name", job.id, …)`.
//!
//! Not here: what jobs do; adding jobs in a transaction (`uow.job`).

mod clock_work;
mod config;
mod jobs;
mod module;
mod queue;
mod record;
mod run;
mod schedules;
mod store;

pub use clock_work::{ClockMessage, Tick};
pub use config::{JobsConfig, QueueConfig};
pub use jobs::Jobs;
pub use module::{JobsModule, MIGRATIONS};
pub use queue::{QueueMessage, Wake};
pub use record::{JobFilter, JobRecord, JobState, QueueStats};
