//! What the platform does on Kafka, Redis and S3, beside the bare client of each in the same process.
//!
//! Both sides do the same job on the same servers and runtime. They take turns in every round in an
//! order that is drawn anew, and the first round is left out. A turn tells the process's CPU time for an
//! operation, threads of the client libraries included, and operations a second; the servers' own CPU
//! is the same for both and not counted.

mod accuracy;
mod blobs;
mod cache;
mod decision;
mod ground;
mod groups;
mod limits;
mod record;
mod relay;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cpu_time;
use crate::statistics::Draws;

pub use accuracy::Share;
pub use record::{Record, table};

/// The order of turns can be repeated.
const SEED: u64 = 42;

/// Where the servers are; what depends on one that is not there is left out.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// `postgres://…` of a user who may create databases.
    pub postgres: Option<String>,
    /// `HOST:PORT`, commas between.
    pub kafka: Option<String>,
    /// `redis://…`.
    pub redis: Option<String>,
    /// `http://KEY:SECRET@HOST:PORT/BUCKET`.
    pub s3: Option<String>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds that count.
    pub rounds: usize,
    /// Operations are divided by it.
    pub divisor: u64,
}

/// One side's part of a round.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Turn {
    /// CPU nanoseconds of an operation.
    pub cpu_ns: f64,
    /// Operations a second.
    pub rate: f64,
}

/// What was measured of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The job.
    pub name: String,
    /// Who does it barely.
    pub bare: String,
    /// The least share of the bare client's throughput, if there is a goal.
    pub at_least: Option<f64>,
    /// Ours, round by round.
    pub ours: Vec<Turn>,
    /// The bare client's, round by round.
    pub theirs: Vec<Turn>,
}

/// The start of a turn.
#[derive(Debug, Clone, Copy)]
struct Began {
    at: Instant,
    cpu: Duration,
}

impl Began {
    fn now() -> Self {
        Self { at: Instant::now(), cpu: cpu_time() }
    }

    fn turn(self, operations: u64) -> Turn {
        let cpu = cpu_time().saturating_sub(self.cpu);
        Turn {
            cpu_ns: cpu.as_nanos() as f64 / operations as f64,
            rate: operations as f64 / self.at.elapsed().as_secs_f64(),
        }
    }
}

/// A job and its bare way.
struct Job {
    name: &'static str,
    bare: &'static str,
    at_least: Option<f64>,
}

/// Each round lets both sides do the job once. The first warms up.
async fn alternate(
    job: &Job,
    rounds: usize,
    mut ours: impl AsyncFnMut() -> anyhow::Result<Turn>,
    mut theirs: impl AsyncFnMut() -> anyhow::Result<Turn>,
) -> anyhow::Result<Row> {
    let mut row = Row {
        name: job.name.to_owned(),
        bare: job.bare.to_owned(),
        at_least: job.at_least,
        ours: Vec::new(),
        theirs: Vec::new(),
    };
    let mut draws = Draws(SEED);
    for round in 0..=rounds {
        let (our, their) = if draws.below(2) == 0 {
            let our = ours().await?;
            (our, theirs().await?)
        } else {
            let their = theirs().await?;
            (ours().await?, their)
        };
        if round > 0 {
            row.ours.push(our);
            row.theirs.push(their);
        }
    }
    Ok(row)
}

/// Measures everything whose servers are there and whose name is wanted; tells each row when it is done.
///
/// # Errors
/// When a server refuses, or an operation does not do what it should.
pub async fn measure(
    servers: &Servers,
    effort: Effort,
    wanted: impl Fn(&str) -> bool,
    mut tell: impl FnMut(&[Row]),
) -> anyhow::Result<(Vec<Row>, Vec<Share>)> {
    let (mut rows, mut shares) = (Vec::new(), Vec::new());
    let mut add = |more: Vec<Row>| {
        tell(&more);
        rows.extend(more);
    };
    if let (Some(postgres), Some(kafka)) = (&servers.postgres, &servers.kafka) {
        if wanted("relay") {
            add(vec![relay::measure(postgres, kafka, effort).await?]);
        }
        if wanted("groups") {
            add(groups::measure(postgres, kafka, effort).await?);
        }
    }
    if let Some(redis) = &servers.redis {
        if wanted("cache") {
            add(cache::measure(redis, effort).await?);
        }
        if wanted("limits") {
            add(vec![decision::measure(redis, effort).await?]);
            shares = accuracy::measure(redis, effort).await?;
        }
    }
    if let Some(s3) = &servers.s3
        && wanted("blobs")
    {
        add(blobs::measure(s3, effort).await?);
    }
    Ok((rows, shares))
}
