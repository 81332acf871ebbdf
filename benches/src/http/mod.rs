//! The HTTP contenders of our own: the platform, and the same job in plain axum, twice.
//!
//! What is compared is how the work is put together. Everything else is shared: the token check, the
//! clock, the ids, the header fields, the JSON of an item and the statements of the database.

#[cfg(feature = "comparison")]
pub mod bare;
#[cfg(feature = "comparison")]
pub mod checks;
#[cfg(feature = "comparison")]
pub mod items;
#[cfg(feature = "comparison")]
pub mod plain;
#[cfg(feature = "comparison")]
pub mod rows;
#[cfg(feature = "comparison")]
pub mod schema;
#[cfg(feature = "comparison")]
pub mod tight;
pub mod troupe;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;
use troupe_telemetry::{Metrics, TelemetryError};

/// How a contender is started.
#[derive(Debug, Clone)]
pub struct Start {
    /// Where it listens.
    pub address: SocketAddr,
    /// The fixture (JOB.md).
    pub directory: PathBuf,
    /// Threads that serve.
    pub threads: usize,
    /// Whether the platform gives each thread a runtime of its own, when there are several.
    pub on_cores: bool,
    /// Where the JSON of the platform's items comes from.
    pub documents: Documents,
    /// Requests that a subject, and an address, have in a minute.
    pub quota: u32,
    /// Services with fewer messages a second have every message timed (the platform's default is
    /// 1,000). Under an instrumenting profiler all would be.
    pub timed_in_full_max: u32,
    /// Where rows are kept; without it there are only items in memory.
    pub database: Option<String>,
    /// Handled messages whose records the platform keeps (its default is 4,096).
    pub records_max: usize,
    /// Whether a tap watches one of the platform's actors.
    pub tap: bool,
}

/// Where a document comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Documents {
    /// It is written once and kept beside the item.
    Kept,
    /// It is written for each request, as the other contenders do.
    Written,
}

/// A request's time.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Window of all limits.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Tokens that are remembered, and for how long.
pub const TOKENS_MAX: usize = 65_536;
/// See [`TOKENS_MAX`].
pub const TOKEN_TTL: Duration = Duration::from_secs(60);

/// Says on standard output that requests may come.
#[expect(clippy::print_stdout, reason = "the suite waits for this line")]
pub fn say_ready(address: SocketAddr) {
    println!("ready {address}");
}

/// Ends when the suite says so.
pub async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => drop(terminate.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// Sorts samples into the buckets of their histograms this often, as the platform does.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the platform's recorder of metrics; the set holds the task that keeps it bounded.
///
/// # Errors
/// When there is one already.
pub fn observed() -> Result<JoinSet<()>, TelemetryError> {
    let metrics = Metrics::install()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            metrics.upkeep();
        }
    });
    Ok(tasks)
}
