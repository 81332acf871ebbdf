//! A pool of SQLite connections to one file: bounded by permits, idle connections are reused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SqliteConnection;
use super::thread::{OwnThread, Running};
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
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    role: Role,
    settings: String,
    idle: Mutex<Vec<Opened>>,
}

struct Opened {
    connection: SqliteConnection,
    running: Running,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Opened")
    }
}

/// A connection on loan; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Lease {
    /// Some until drop.
    opened: Option<Opened>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl SqlitePool {
    pub(super) fn new(path: &Path, role: Role, settings: String, size: usize) -> Self {
        let shared = Shared { path: path.to_owned(), role, settings, idle: Mutex::new(Vec::new()) };
        Self { shared: Arc::new(shared), permits: Arc::new(Semaphore::new(size)) }
    }

    pub(super) async fn acquire(&self, wait: Duration) -> DbResult<Lease> {
        let permit = tokio::time::timeout(wait, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| DbError::Timeout { what: "the wait for a connection" })?
            .expect("the semaphore is never closed");
        let idle = self.shared.idle.lock().pop();
        let opened = match idle {
            Some(opened) => opened,
            None => self.shared.open().await?,
        };
        Ok(Lease { opened: Some(opened), shared: Arc::clone(&self.shared), _permit: permit })
    }
}

impl Shared {
    async fn open(&self) -> DbResult<Opened> {
        let mut thread = OwnThread::start();
        let running = thread.running();
        let (path, settings) = (self.path.clone(), self.settings.clone());
        let opened = thread.spawn_blocking(move || open(&path, &settings)).await;
        let connection = opened.map_err(|error| DbError::File {
            path: self.path.clone(),
            detail: error.to_string(),
        })??;
        Ok(Opened { connection: SyncConnectionWrapper::with_runtime(connection, thread), running })
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

impl Lease {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.opened.as_mut().expect("the connection is there until drop").connection
    }

    pub(super) fn connection_ref(&self) -> &SqliteConnection {
        &self.opened.as_ref().expect("the connection is there until drop").connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut opened) = self.opened.take() else { return };
        // A busy thread still holds the connection: its future was dropped. It is closed there as soon
        // as the statement is done, which rolls an open transaction back.
        if opened.running.is_idle() && !opened.connection.is_broken() {
            self.shared.idle.lock().push(opened);
        } else {
            tracing::debug!(role = ?self.shared.role, "gave up a SQLite connection that was cancelled in a transaction");
        }
    }
}
