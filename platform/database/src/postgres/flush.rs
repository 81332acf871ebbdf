//! Commits that wait for the server's disk together, and not with their connections.
//!
//! When callers wait for a connection, a unit of work commits asynchronously, gives its connection
//! back, and is answered when a flush of the server's log that began after its commit has ended. One
//! flush, a small transaction that commits as the server is told to, is for all that have committed
//! until it begins: the log is one, and nothing in it is durable before what stands earlier.
//!
//! A server that crashes ends every connection, and may lose what was not flushed. So a flush proves
//! something only about commits that began while its connection was there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::PoolableConnection;
use tokio::sync::Mutex;

use super::address::Address;
use super::plain::Plain;

/// Writes a record that says nothing, in a transaction of its own, and answers the place behind it.
const FLUSH: Plain = Plain("SELECT (pg_logical_emit_message(true, 'troupe', '') - '0/0')::bigint");

/// Who flushes the log of a server.
pub(super) struct Flushers {
    address: Address,
    age_max: Duration,
    current: Mutex<Option<Arc<Flusher>>>,
}

impl Flushers {
    pub(super) fn new(address: Address, age_max: Duration) -> Self {
        Self { address, age_max, current: Mutex::default() }
    }

    /// The one for a commit that begins now; none while it is being opened, or when it cannot be.
    pub(super) async fn current(&self) -> Option<Arc<Flusher>> {
        let mut current = self.current.try_lock().ok()?;
        if !current.as_ref().is_some_and(|flusher| flusher.is_usable(self.age_max)) {
            *current = Some(Arc::new(Flusher::new(self.address.connect().await.ok()?)));
        }
        current.clone()
    }
}

/// A connection that flushes the log.
pub(super) struct Flusher {
    opened: Instant,
    /// Commits that have ended.
    committed: AtomicU64,
    line: Mutex<Line>,
}

struct Line {
    connection: AsyncPgConnection,
    /// How many of the commits are durable.
    durable: u64,
    /// A place in the log behind all of them.
    place: u64,
}

impl Flusher {
    fn new(connection: AsyncPgConnection) -> Self {
        let line = Mutex::new(Line { connection, durable: 0, place: 0 });
        Self { opened: Instant::now(), committed: AtomicU64::new(0), line }
    }

    fn is_usable(&self, age_max: Duration) -> bool {
        // While it is at work it was usable just now.
        let is_broken = self.line.try_lock().is_ok_and(|mut line| line.connection.is_broken());
        !is_broken && self.opened.elapsed() < age_max
    }

    /// Ends when what was committed before is durable, and answers a place in the log behind it. After
    /// an error it is not known whether it is.
    pub(super) async fn flush(&self) -> QueryResult<u64> {
        let mine = self.committed.fetch_add(1, Ordering::AcqRel) + 1;
        let mut line = self.line.lock().await;
        if line.durable >= mine {
            return Ok(line.place);
        }
        let all = self.committed.load(Ordering::Acquire);
        line.place = FLUSH.place(&line.connection).await?;
        line.durable = all;
        Ok(line.place)
    }
}
