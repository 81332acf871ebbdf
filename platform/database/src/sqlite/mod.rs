//! SQLite: connections that live on a thread of their own, in a pool of one writer and some readers.

mod pool;
mod thread;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use pool::SqlitePool;
use pool::{Lease, Role};

use crate::config::{DatabaseConfig, SqliteSynchronous};
use crate::error::{DbError, DbResult};

/// The connection type that queries run on.
pub type SqliteConnection = diesel_async::sync_connection_wrapper::SyncConnectionWrapper<
    diesel::SqliteConnection,
    thread::OwnThread,
>;

/// A pooled SQLite connection.
#[derive(Debug)]
pub struct SqliteConn {
    lease: Lease,
}

impl SqliteConn {
    pub(crate) async fn begin_immediate(&mut self) -> diesel::QueryResult<()> {
        use diesel::connection::AnsiTransactionManager;
        self.lease
            .connection()
            .spawn_blocking(|conn| {
                AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
            })
            .await
    }
}

impl Deref for SqliteConn {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.lease.connection_ref()
    }
}

impl DerefMut for SqliteConn {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.lease.connection()
    }
}

/// The writer's and the readers' pool of one file.
#[derive(Debug, Clone)]
pub(crate) struct SqliteFile {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteFile {
    /// Builds the pools; nothing is opened yet.
    pub(crate) fn new(path: &Path, config: &DatabaseConfig) -> Self {
        let synchronous = match config.sqlite_synchronous {
            SqliteSynchronous::Normal => "NORMAL",
            SqliteSynchronous::Full => "FULL",
        };
        let busy = config.lock_timeout.as_millis();
        let common = format!(
            "PRAGMA busy_timeout = {busy}; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; \
             PRAGMA synchronous = {synchronous};"
        );
        let writer =
            SqlitePool::new(path, Role::Writer, format!("{common} PRAGMA journal_mode = WAL;"), 1);
        let reader = format!("{common} PRAGMA query_only = ON;");
        let readers = SqlitePool::new(path, Role::Reader, reader, config.readers_max);
        Self { path: path.to_owned(), writer, readers }
    }

    /// Opens the file, making its directory when that is missing. The first connection shows whether
    /// it can be used at all.
    pub(crate) async fn reach(&self, wait: Duration) -> DbResult<()> {
        make_directory(&self.path)?;
        drop(self.writer.acquire(wait).await?);
        drop(self.readers.acquire(wait).await?);
        Ok(())
    }

    pub(crate) async fn writer(&self, wait: Duration) -> DbResult<SqliteConn> {
        Ok(SqliteConn { lease: self.writer.acquire(wait).await? })
    }

    pub(crate) async fn reader(&self, wait: Duration) -> DbResult<SqliteConn> {
        Ok(SqliteConn { lease: self.readers.acquire(wait).await? })
    }
}

fn make_directory(path: &Path) -> DbResult<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fault = |source| DbError::DataDirectory { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(fault)?;
    // SQLite writes its journal beside the file, so the directory itself must be writable.
    let probe = directory.join(format!(".troupe-write-probe-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(fault)?;
    std::fs::remove_file(&probe).map_err(fault)
}
