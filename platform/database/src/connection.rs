//! One connection of either dialect, and [`run!`](crate::run), which types a query for both.

use std::ops::{Deref, DerefMut};

use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};

use crate::error::DbResult;
use crate::sqlite::SqliteConn;

/// Which SQL a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL 13 or later.
    Postgres,
    /// SQLite 3.35 or later (compiled in).
    Sqlite,
}

/// A connection that a repository function works on; use it through [`run!`](crate::run).
#[derive(Debug)]
pub enum DbConn {
    /// To PostgreSQL.
    Pg(PgConn),
    /// To SQLite.
    Sqlite(SqliteConn),
}

impl DbConn {
    /// Which SQL this connection speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Pg(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Runs SQL text as it is, any number of statements.
    ///
    /// # Errors
    /// As the database says.
    pub async fn batch(&mut self, sql: &str) -> DbResult<()> {
        match self {
            Self::Pg(conn) => conn.batch_execute(sql).await?,
            Self::Sqlite(conn) => conn.batch_execute(sql).await?,
        }
        Ok(())
    }

    /// Begins a transaction, or a savepoint inside one. On SQLite the outermost takes the write lock
    /// at once, so that it never fails half way for a lock.
    pub(crate) async fn begin(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => begin(&mut **conn).await?,
            Self::Sqlite(conn) => conn.begin_immediate().await?,
        }
        Ok(())
    }

    pub(crate) async fn savepoint(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => begin(&mut **conn).await?,
            Self::Sqlite(conn) => begin(&mut **conn).await?,
        }
        Ok(())
    }

    pub(crate) async fn commit(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => commit(&mut **conn).await?,
            Self::Sqlite(conn) => commit(&mut **conn).await?,
        }
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => rollback(&mut **conn).await?,
            Self::Sqlite(conn) => rollback(&mut **conn).await?,
        }
        Ok(())
    }
}

async fn begin<C: AsyncConnection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::begin_transaction(conn).await
}

async fn commit<C: AsyncConnection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::commit_transaction(conn).await
}

async fn rollback<C: AsyncConnection>(conn: &mut C) -> diesel::QueryResult<()> {
    C::TransactionManager::rollback_transaction(conn).await
}

/// A pooled PostgreSQL connection.
///
/// When it is dropped inside a transaction (its future was cancelled) it is closed instead of being
/// returned, so that the server rolls back and frees the locks at once.
pub struct PgConn {
    /// Some until drop.
    object: Option<Box<Object<AsyncPgConnection>>>,
}

impl PgConn {
    pub(crate) fn new(object: Object<AsyncPgConnection>) -> Self {
        Self { object: Some(Box::new(object)) }
    }
}

impl Deref for PgConn {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        self.object.as_ref().expect("the connection is there until drop")
    }
}

impl DerefMut for PgConn {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        self.object.as_mut().expect("the connection is there until drop")
    }
}

impl Drop for PgConn {
    fn drop(&mut self) {
        if let Some(mut object) = self.object.take()
            && object.is_broken()
        {
            drop(Object::take(*object));
        }
    }
}

impl std::fmt::Debug for PgConn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PgConn")
    }
}

/// Runs a diesel query on a [`DbConn`] of either dialect and answers [`DbResult`].
///
/// The body is written once and typed once per dialect, so errors land on its own line. It is one
/// diesel call without `.await`; the asynchronous `RunQueryDsl` is in scope inside it only. For a
/// look-up by key call `get_result`, not `first`: SQLite prepares a bound `LIMIT` anew each time.
///
/// ```ignore
/// run!(conn, |c| posts::table.find(DbUuid::of(id)).select(Post::as_select()).get_result(c))
/// ```
///
/// Where the SQL differs, write two arms:
///
/// ```ignore
/// run!(conn, pg |c| diesel::sql_query("…").execute(c), sqlite |c| diesel::sql_query("…").execute(c))
/// ```
#[macro_export]
macro_rules! run {
    ($conn:expr, |$c:ident| $body:expr) => {
        $crate::run!($conn, pg | $c | $body, sqlite | $c | $body)
    };
    ($conn:expr, pg |$p:ident| $pg:expr, sqlite |$s:ident| $sqlite:expr $(,)?) => {
        match &mut *$conn {
            $crate::DbConn::Pg(connection) => {
                use $crate::OnPg as _;
                let $p: &mut $crate::PgConnection = &mut *connection;
                $pg.await.map_err($crate::DbError::from)
            }
            $crate::DbConn::Sqlite(connection) => {
                use $crate::OnSqlite as _;
                let $s: &mut $crate::SqliteConnection = &mut *connection;
                $sqlite.await.map_err($crate::DbError::from)
            }
        }
    };
}
