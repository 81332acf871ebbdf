//! A pool of SQLite connections to one file: bounded, first come, first served.
//!
//! Whoever waits gets the connection from its last user, with the transaction of a
//! [group](super::group) still open if it wants to join it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::SqliteConnection;
use super::group::{self, Fate, Group};
use super::thread::OwnThread;
use crate::error::{DbError, DbResult};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

/// Hands out connections with the same settings.
#[derive(Debug, Clone)]
pub(crate) struct SqlitePool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    path: PathBuf,
    role: Role,
    settings: String,
    line: Mutex<Line>,
}

/// Who waits, and what is free; never both.
#[derive(Debug)]
struct Line {
    /// One entry for each caller that waits; those that gave up are passed over.
    waiting: VecDeque<Waiter>,
    /// Connections that may be taken or opened.
    free: usize,
    idle: Vec<Opened>,
}

impl Line {
    /// The first that still waits.
    fn first(&mut self) -> Option<&Waiter> {
        while self.waiting.front().is_some_and(|next| next.lease.is_closed()) {
            self.waiting.pop_front();
        }
        self.waiting.front()
    }
}

/// What happens next to a connection.
enum Next {
    /// It is for this one.
    Waiter(Waiter),
    /// There is something to end or to undo before.
    Tidy,
    /// It was laid by.
    Nobody,
}

#[derive(Debug)]
struct Waiter {
    joins: bool,
    lease: oneshot::Sender<Lease>,
}

struct Opened {
    connection: SqliteConnection,
    thread: OwnThread,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Opened")
    }
}

/// A connection on loan; dropping it gives it to the next.
#[derive(Debug)]
pub(super) struct Lease {
    /// Some until drop.
    held: Option<Held>,
    shared: Arc<Shared>,
}

/// What is handed from one to the next.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// None before the first use, and after the connection was given up.
    opened: Option<Opened>,
    /// The transaction that is open.
    pub(super) group: Option<Group>,
    /// Whether a unit of work has begun in it and not ended.
    pub(super) is_at_work: bool,
}

impl SqlitePool {
    pub(super) fn new(path: &Path, role: Role, settings: String, size: usize) -> Self {
        let line = Line { waiting: VecDeque::new(), free: size, idle: Vec::new() };
        let shared = Shared { path: path.to_owned(), role, settings, line: Mutex::new(line) };
        Self { shared: Arc::new(shared) }
    }

    /// A connection; one that `joins` may come with the open transaction of a group.
    pub(super) async fn acquire(&self, wait: Duration, joins: bool) -> DbResult<Lease> {
        let mut lease = match self.shared.take_or_wait(joins) {
            Ok(held) => Lease { held: Some(held), shared: Arc::clone(&self.shared) },
            Err(turn) => tokio::time::timeout(wait, turn)
                .await
                .map_err(|_| DbError::Timeout { what: "the wait for a connection" })?
                .expect("a waiter is never forgotten"),
        };
        if lease.held().opened.is_none() {
            lease.held().opened = Some(self.shared.open().await?);
        }
        Ok(lease)
    }
}

impl Shared {
    fn take_or_wait(&self, joins: bool) -> Result<Held, oneshot::Receiver<Lease>> {
        let mut line = self.line.lock();
        if line.free > 0 {
            line.free -= 1;
            return Ok(Held { opened: line.idle.pop(), ..Held::default() });
        }
        let (lease, turn) = oneshot::channel();
        line.waiting.push_back(Waiter { joins, lease });
        Err(turn)
    }

    /// Whether the next in line would work in the transaction that is open.
    pub(super) fn has_joiner(&self) -> bool {
        self.line.lock().first().is_some_and(|next| next.joins)
    }

    /// Gives the connection to the next in line, or lays it by. What must be done before happens on
    /// the connection's thread: nobody waits for it.
    fn pass(self: Arc<Self>, mut held: Held) {
        let is_given_up = held.opened.as_mut().is_some_and(|opened| {
            // Its thread is still at a statement whose future was dropped; a group waits for it.
            held.group.is_none() && (!opened.thread.is_idle() || opened.connection.is_broken())
        });
        if is_given_up {
            tracing::debug!(role = ?self.role, "gave up a SQLite connection that was cancelled");
            held.opened = None;
        }
        loop {
            let next = match self.next(&mut held) {
                Next::Waiter(next) => next,
                Next::Tidy => return self.tidy(held),
                Next::Nobody => return,
            };
            match next.lease.send(Lease { held: Some(held), shared: Arc::clone(&self) }) {
                Ok(()) => return,
                // It gave up just now.
                Err(mut lease) => held = lease.held.take().unwrap_or_default(),
            }
        }
    }

    fn next(&self, held: &mut Held) -> Next {
        let mut line = self.line.lock();
        let joins = line.first().is_some_and(|next| next.joins);
        let must_end = held.group.as_ref().is_some_and(|group| !joins || group.is_full());
        if held.is_at_work || must_end {
            return Next::Tidy;
        }
        if let Some(next) = line.waiting.pop_front() {
            return Next::Waiter(next);
        }
        line.free += 1;
        line.idle.extend(held.opened.take());
        Next::Nobody
    }

    /// Undoes what an unfinished unit left, or ends the open transaction, and passes the connection on.
    fn tidy(self: Arc<Self>, held: Held) {
        // When the thread takes nothing more, this passes on the place of a connection that is gone.
        let lease = Lease { held: Some(Held::default()), shared: self };
        let Held { opened: Some(mut opened), group: Some(group), is_at_work } = held else {
            return;
        };
        let (thread, members) = (opened.thread.clone(), group.members());
        let (told, fate) = std::sync::mpsc::sync_channel(1);
        // Sent to the thread at once; its answer is taken there, too.
        drop(opened.connection.spawn_blocking(move |conn| {
            let fate = if is_at_work { group::undo(conn) } else { group::end(conn, &members) };
            drop(told.send(fate));
            Ok(())
        }));
        thread.then(move || {
            let mut held = Held { opened: Some(opened), group: Some(group), is_at_work };
            held.settle(fate.recv().unwrap_or(Fate::Lost));
            lease.pass_on(held);
        });
    }

    async fn open(&self) -> DbResult<Opened> {
        let mut thread = OwnThread::start();
        let (path, settings) = (self.path.clone(), self.settings.clone());
        let opened = thread.spawn_blocking(move || open(&path, &settings)).await;
        let connection = opened.map_err(|error| DbError::File {
            path: self.path.clone(),
            detail: error.to_string(),
        })??;
        let connection = SyncConnectionWrapper::with_runtime(connection, thread.clone());
        Ok(Opened { connection, thread })
    }
}

fn open(path: &Path, settings: &str) -> DbResult<diesel::SqliteConnection> {
    let fault = |detail: String| {
        if detail.contains("database is locked") {
            DbError::FileLocked { path: path.to_owned() }
        } else {
            DbError::File { path: path.to_owned(), detail }
        }
    };
    let text = path.to_str().ok_or_else(|| fault("its path is not valid UTF-8".to_owned()))?;
    let mut connection =
        diesel::SqliteConnection::establish(text).map_err(|error| fault(error.to_string()))?;
    connection.batch_execute(settings).map_err(|error| fault(error.to_string()))?;
    // Reading the schema is what finds a file that is not a database, or one that is held exclusively.
    connection
        .batch_execute("SELECT count(*) FROM sqlite_master;")
        .map_err(|error| fault(error.to_string()))?;
    Ok(connection)
}

impl Held {
    /// Takes note of what became of the transaction.
    pub(super) fn settle(&mut self, fate: Fate) {
        self.is_at_work = false;
        if fate != Fate::Open {
            self.group = None;
        }
        if fate == Fate::Lost {
            self.opened = None;
        }
    }
}

impl Lease {
    fn pass_on(mut self, held: Held) {
        self.held = Some(held);
    }

    pub(super) fn held(&mut self) -> &mut Held {
        self.held.as_mut().expect("the connection is there until drop")
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        let opened = self.held().opened.as_mut();
        &mut opened.expect("a lease is given out with a connection").connection
    }

    pub(super) fn connection_ref(&self) -> &SqliteConnection {
        let opened = self.held.as_ref().and_then(|held| held.opened.as_ref());
        &opened.expect("a lease is given out with a connection").connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            Arc::clone(&self.shared).pass(held);
        }
    }
}
