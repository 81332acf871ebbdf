//! SQLite: connections that live on a thread of their own, in a pool of one writer and some readers.

mod group;
mod pool;
mod thread;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use group::{Fate, Group};
pub(crate) use pool::SqlitePool;
use pool::{Lease, Role};
use tokio::sync::oneshot;
use troupe_kernel::Failure;

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

/// A unit of work that is done and waits for the commit of its group.
#[derive(Debug)]
pub(crate) struct Done {
    outcome: oneshot::Receiver<Result<(), Failure>>,
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

    /// Begins a unit of work in the open transaction, or in a new one.
    pub(crate) async fn begin_unit(&mut self) -> diesel::QueryResult<()> {
        let held = self.lease.held();
        let is_first = held.group.is_none();
        held.group.get_or_insert_with(Group::new).count();
        held.is_at_work = true;
        self.lease.connection().spawn_blocking(move |conn| group::begin(conn, is_first)).await
    }

    /// Ends a unit of work after its last writes. Its changes are kept when the group has committed.
    pub(crate) async fn finish_unit(
        mut self,
        last: impl FnOnce(&mut diesel::SqliteConnection) -> diesel::QueryResult<()> + Send + 'static,
    ) -> diesel::QueryResult<Done> {
        let (member, outcome) = oneshot::channel();
        let shared = self.lease.shared();
        let group = self.lease.held().group.as_ref().expect("a unit has begun");
        let (members, is_full) = (group.members(), group.is_full());
        let ending = self.lease.connection().spawn_blocking(move |conn| {
            last(conn)?;
            group::release(conn)?;
            members.add(member);
            let is_last = is_full || !shared.has_joiner();
            Ok(if is_last { group::end(conn, &members) } else { Fate::Open })
        });
        let fate = ending.await?;
        self.lease.held().settle(fate);
        Ok(Done { outcome })
    }
}

impl Done {
    /// Waits for the commit.
    pub(crate) async fn committed(self) -> Result<(), Failure> {
        self.outcome.await.unwrap_or_else(|_| {
            Err(Failure::unavailable(
                "database.group.lost",
                "the transaction was given up before its commit; nothing was changed",
            ))
        })
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
        drop(self.writer.acquire(wait, false).await?);
        drop(self.readers.acquire(wait, false).await?);
        Ok(())
    }

    /// The writer without a transaction.
    pub(crate) async fn writer(&self, wait: Duration) -> DbResult<SqliteConn> {
        Ok(SqliteConn { lease: self.writer.acquire(wait, false).await? })
    }

    /// The writer for a unit of work, perhaps with an open transaction that it joins.
    pub(crate) async fn joined(&self, wait: Duration) -> DbResult<SqliteConn> {
        Ok(SqliteConn { lease: self.writer.acquire(wait, true).await? })
    }

    pub(crate) async fn reader(&self, wait: Duration) -> DbResult<SqliteConn> {
        Ok(SqliteConn { lease: self.readers.acquire(wait, false).await? })
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
