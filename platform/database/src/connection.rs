//! One connection of either dialect, and [`run!`](crate::run), which types a query for both.

use diesel_async::{AsyncConnection, SimpleAsyncConnection, TransactionManager};

use crate::error::DbResult;
use crate::postgres::PgConn;
use crate::sqlite::{SqliteConn, SqliteConnection};

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

    /// Begins a transaction. On SQLite it takes the write lock at once, so that it never fails half
    /// way for a lock.
    pub(crate) async fn begin(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => conn.begin().await?,
            Self::Sqlite(conn) => conn.begin_immediate().await?,
        }
        Ok(())
    }

    /// Begins a unit of work.
    pub(crate) async fn begin_unit(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => conn.send_begin()?,
            Self::Sqlite(conn) => conn.begin_unit().await?,
        }
        Ok(())
    }

    /// Begins a part of the transaction that may be undone by itself.
    pub(crate) async fn savepoint(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => conn.begin().await?,
            Self::Sqlite(conn) => begin(conn).await?,
        }
        Ok(())
    }

    pub(crate) async fn commit(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => conn.commit().await?,
            Self::Sqlite(conn) => commit(conn).await?,
        }
        Ok(())
    }

    pub(crate) async fn rollback(&mut self) -> DbResult<()> {
        match self {
            Self::Pg(conn) => conn.rollback().await?,
            Self::Sqlite(conn) => rollback(conn).await?,
        }
        Ok(())
    }
}

async fn begin(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    <SqliteConnection as AsyncConnection>::TransactionManager::begin_transaction(conn).await
}

async fn commit(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    <SqliteConnection as AsyncConnection>::TransactionManager::commit_transaction(conn).await
}

async fn rollback(conn: &mut SqliteConnection) -> diesel::QueryResult<()> {
    <SqliteConnection as AsyncConnection>::TransactionManager::rollback_transaction(conn).await
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
