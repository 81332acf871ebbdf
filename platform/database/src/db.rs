//! The database of a node: where repositories get their connections and handlers their transactions.

mod reload;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use troupe_actors::Scope;
use troupe_kernel::clock::SystemClock;
use troupe_kernel::{Failure, FailureKind, SharedClock};
use uuid::Uuid;

use crate::callback::Callback;
use crate::columns::Json;
use crate::config::{DatabaseConfig, Target};
use crate::connection::{DbConn, Dialect};
use crate::effects::{self, Effect, Guards, Reservation, Wakers};
use crate::error::{DbError, DbResult};
use crate::postgres::PgServer;
use crate::run;
use crate::sqlite::SqliteFile;
use crate::traced::Traced;
use crate::unit_of_work::UnitOfWork;

/// How long a commit may take. It is not cut short by the deadline of the work: whether a commit that
/// was cut short happened is not known.
const COMMIT_WITHIN: Duration = Duration::from_secs(60);
/// How many statements at the end of their time a read may have.
const READ_STATEMENTS: u32 = 2;
/// Work with more time than this shares no transaction on SQLite: others would wait for it. Less than
/// [`COMMIT_WITHIN`], so that they learn what became of theirs.
const SHARED_MAX: Duration = Duration::from_secs(30);

/// What the spans of traced work are called.
const READ: &str = "database.read";
const WRITE: &str = "database.write";

/// A handle to the database; clones share the pools.
#[derive(Debug, Clone)]
pub struct Db {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Backend,
    config: DatabaseConfig,
    clock: SharedClock,
    wakers: Wakers,
    guards: Guards,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("backend", &self.backend).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Backend {
    Pg(Box<PgServer>),
    Sqlite(SqliteFile),
}

/// The reply of a command and whether it was stored by an earlier request with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commanded<R> {
    /// The reply.
    pub value: R,
    /// Whether the work was done before and this is the stored reply.
    pub replayed: bool,
}

impl Db {
    /// Opens the database with the clock of the machine. Makes the directory and file of a missing
    /// SQLite database; migrations are not applied.
    ///
    /// # Errors
    /// A bad URL, a directory that cannot be written, a file that another process holds, a server that
    /// does not answer or refuses the login: each says what to do.
    pub async fn open(config: &DatabaseConfig) -> DbResult<Self> {
        Self::open_with(config, Arc::new(SystemClock)).await
    }

    /// Opens the database with another clock.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(config: &DatabaseConfig, clock: SharedClock) -> DbResult<Self> {
        let db = Self::unopened(config, clock)?;
        db.reach().await?;
        Ok(db)
    }

    /// The database without a connection, for what looks at the configuration only.
    ///
    /// # Errors
    /// A bad URL.
    pub fn unopened(config: &DatabaseConfig, clock: SharedClock) -> DbResult<Self> {
        let backend = match config.target()? {
            Target::Sqlite(path) => Backend::Sqlite(SqliteFile::new(&path, config)),
            Target::Postgres(url) => Backend::Pg(Box::new(PgServer::new(&url, config)?)),
        };
        let shared = Shared {
            backend,
            config: config.clone(),
            clock,
            wakers: Wakers::default(),
            guards: Guards::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Makes the first connections, and what is missing of a SQLite database, so that what is wrong
    /// shows at start.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn reach(&self) -> DbResult<()> {
        let wait = self.config().acquire_timeout;
        match &self.shared.backend {
            Backend::Sqlite(file) => file.reach(wait).await,
            Backend::Pg(server) => server.reach(wait).await,
        }
    }

    /// Which SQL it speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.shared.backend {
            Backend::Pg(_) => Dialect::Postgres,
            Backend::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// The configuration it was opened with.
    #[must_use]
    pub fn config(&self) -> &DatabaseConfig {
        &self.shared.config
    }

    /// The clock of its records.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.shared.clock
    }

    /// Calls `waker` after each commit that wrote such an effect. It runs on the committing task, so it
    /// only tells somebody: it must neither block nor fail.
    pub fn wake_on(&self, effect: Effect, waker: impl Fn() + Send + Sync + 'static) {
        self.shared.wakers.add(effect, Arc::new(waker));
    }

    /// Asks `guard` before each commit that writes such an effect. A failure that it answers undoes the
    /// work and is what the caller gets. It runs on the committing task: it must not block.
    pub fn guard(
        &self,
        effect: Effect,
        guard: impl Fn() -> Option<Failure> + Send + Sync + 'static,
    ) {
        self.shared.guards.add(effect, Arc::new(guard));
    }

    /// Calls the wakers of an effect, for a change that brings work without adding an effect.
    pub fn wake(&self, effect: Effect) {
        self.shared.wakers.wake(&[effect]);
    }

    /// Reads, and sees every commit before it. Several statements are not one snapshot. The connection
    /// refuses writes.
    ///
    /// # Errors
    /// The failure of the work, or `database.timeout` when no connection is free in time or the work
    /// takes twice as long as one statement may.
    pub async fn read<R, F>(&self, work: F) -> Result<R, Failure>
    where
        R: Send,
        F: for<'c> AsyncFnOnce(&'c mut DbConn) -> Result<R, Failure>
            + for<'c> Callback<&'c mut DbConn, Result<R, Failure>, Running: Send>
            + Send,
    {
        let traced = Traced::begin(READ, self.dialect());
        let reading = async { self.bounded(self.reader().await?, work).await };
        traced.end(reading.await)
    }

    /// Reads for the caller of the scope, who sees every commit that was told to them: from the replica
    /// when the caller has brought a token and the replica has reached it, otherwise from the primary.
    /// What others have committed may be missing for `database.replica_lag_max`, so decisions that it
    /// must not be missing for, and what a change is made from, [`read`](Self::read).
    ///
    /// # Errors
    /// As [`read`](Self::read), and `database.deadline` when the scope's time is over.
    pub async fn read_for<R, F>(&self, scope: &Scope, work: F) -> Result<R, Failure>
    where
        R: Send,
        F: for<'c> AsyncFnOnce(&'c mut DbConn) -> Result<R, Failure>
            + for<'c> Callback<&'c mut DbConn, Result<R, Failure>, Running: Send>
            + Send,
    {
        let traced = Traced::begin(READ, self.dialect());
        let reading = async {
            let conn = match &self.shared.backend {
                Backend::Pg(server) => {
                    let wait = self.wait().min(scope.remaining());
                    DbConn::Pg(server.reader(scope.seen(), wait).await?)
                }
                Backend::Sqlite(file) => DbConn::Sqlite(file.reader(self.wait()).await?),
            };
            self.bounded(conn, work).await
        };
        traced.end(reading.await)
    }

    /// Reads what may be a moment old, but not older than the commits of this node: from the replica,
    /// where there is one.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_stale<R, F>(&self, work: F) -> Result<R, Failure>
    where
        R: Send,
        F: for<'c> AsyncFnOnce(&'c mut DbConn) -> Result<R, Failure>
            + for<'c> Callback<&'c mut DbConn, Result<R, Failure>, Running: Send>
            + Send,
    {
        let traced = Traced::begin(READ, self.dialect());
        let reading = async {
            let conn = match &self.shared.backend {
                Backend::Pg(server) => DbConn::Pg(server.stale(self.wait()).await?),
                Backend::Sqlite(file) => DbConn::Sqlite(file.reader(self.wait()).await?),
            };
            self.bounded(conn, work).await
        };
        traced.end(reading.await)
    }

    /// Reads within the time of two statements: a server that is paused, or whose machine is gone, ends
    /// none by itself.
    async fn bounded<R, F>(&self, mut conn: DbConn, work: F) -> Result<R, Failure>
    where
        R: Send,
        F: for<'c> AsyncFnOnce(&'c mut DbConn) -> Result<R, Failure>
            + for<'c> Callback<&'c mut DbConn, Result<R, Failure>, Running: Send>
            + Send,
    {
        if conn.dialect() == Dialect::Sqlite {
            return work(&mut conn).await;
        }
        let most = self.shared.config.statement_timeout * READ_STATEMENTS;
        if let Ok(result) = tokio::time::timeout(most, work(&mut conn)).await {
            return result;
        }
        if let DbConn::Pg(conn) = &mut conn {
            conn.abandon();
        }
        Err(DbError::Timeout { what: "the read" }.into())
    }

    /// Does a request's work in one transaction with its effects, at most once per idempotency key.
    ///
    /// When the scope has a key, the reply is stored under tenant, subject and key, and the same
    /// request gets it again without doing the work. A command is told from others of the same request
    /// by the type of its closure: call `command` once in a function, use
    /// [`transaction`](Self::transaction) for more.
    ///
    /// # Errors
    /// The failure of the work (nothing is changed then), `database.idempotency.mismatch` when the key
    /// was used for another request, `database.deadline` when the scope's time is over.
    pub async fn command<R, F>(&self, scope: &Scope, work: F) -> Result<R, Failure>
    where
        R: Serialize + DeserializeOwned + Send,
        F: for<'u> AsyncFnOnce(&'u mut UnitOfWork) -> Result<R, Failure>
            + for<'u> Callback<&'u mut UnitOfWork, Result<R, Failure>, Running: Send>
            + Send,
    {
        Ok(self.command_marked(scope, work).await?.value)
    }

    /// [`command`](Self::command), and whether the reply is a stored one. The edge tells the caller
    /// through `trailers.replayed` of the scope.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn command_marked<R, F>(
        &self,
        scope: &Scope,
        work: F,
    ) -> Result<Commanded<R>, Failure>
    where
        R: Serialize + DeserializeOwned + Send,
        F: for<'u> AsyncFnOnce(&'u mut UnitOfWork) -> Result<R, Failure>
            + for<'u> Callback<&'u mut UnitOfWork, Result<R, Failure>, Running: Send>
            + Send,
    {
        let operation = std::any::type_name::<F>();
        self.transaction(scope, async move |uow: &mut UnitOfWork| {
            let (scope, now) = (uow.scope().clone(), uow.now());
            match effects::reserve(&mut uow.conn, &scope, operation, now).await? {
                Reservation::Replay(reply) => Ok(Commanded { value: reply.to()?, replayed: true }),
                Reservation::None => Ok(Commanded { value: work(uow).await?, replayed: false }),
                Reservation::New(key) => {
                    let value = work(uow).await?;
                    effects::store(&mut uow.conn, &key, Json::of(&value)?).await?;
                    Ok(Commanded { value, replayed: false })
                }
            }
        })
        .await
    }

    /// Applies an event at most once per consumer: `None` when it was applied before.
    ///
    /// # Errors
    /// The failure of the work; nothing is changed then and the event will be delivered again.
    pub async fn consume<R, F>(
        &self,
        scope: &Scope,
        consumer: &str,
        event: Uuid,
        work: F,
    ) -> Result<Option<R>, Failure>
    where
        R: Send,
        F: for<'u> AsyncFnOnce(&'u mut UnitOfWork) -> Result<R, Failure>
            + for<'u> Callback<&'u mut UnitOfWork, Result<R, Failure>, Running: Send>
            + Send,
    {
        let consumer = consumer.to_owned();
        self.transaction(scope, async move |uow: &mut UnitOfWork| {
            let now = uow.now();
            if effects::first_delivery(&mut uow.conn, &consumer, event, now).await? {
                Ok(Some(work(uow).await?))
            } else {
                Ok(None)
            }
        })
        .await
    }

    /// Does work in one transaction with its effects, however often it is called.
    ///
    /// The work is cut off at the scope's deadline; the commit itself is not.
    ///
    /// # Errors
    /// The failure of the work (nothing is changed then) or `database.deadline`.
    pub async fn transaction<R, F>(&self, scope: &Scope, work: F) -> Result<R, Failure>
    where
        R: Send,
        F: for<'u> AsyncFnOnce(&'u mut UnitOfWork) -> Result<R, Failure>
            + for<'u> Callback<&'u mut UnitOfWork, Result<R, Failure>, Running: Send>
            + Send,
    {
        let traced = Traced::begin(WRITE, self.dialect());
        traced.end(self.transact(scope, work).await)
    }

    async fn transact<R, F>(&self, scope: &Scope, work: F) -> Result<R, Failure>
    where
        R: Send,
        F: for<'u> AsyncFnOnce(&'u mut UnitOfWork) -> Result<R, Failure>
            + for<'u> Callback<&'u mut UnitOfWork, Result<R, Failure>, Running: Send>
            + Send,
    {
        let began = std::time::Instant::now();
        let body = async {
            let conn = self.joined(scope).await?;
            let mut uow = UnitOfWork::begin(conn, scope, &self.shared.clock).await?;
            let done = match work(&mut uow).await {
                Ok(value) => self.shared.guards.ask(&uow.kinds()).map(|()| value),
                Err(failure) => Err(failure),
            };
            match done {
                Ok(value) => Ok((uow, value)),
                Err(failure) => {
                    uow.rollback().await;
                    Err(failure)
                }
            }
        };
        let (uow, value) =
            tokio::time::timeout(scope.remaining(), body).await.map_err(|_| expired())??;
        let (kinds, place) = tokio::time::timeout(COMMIT_WITHIN, uow.commit())
            .await
            .map_err(|_| DbError::Timeout { what: "the commit" })??;
        if let Some(place) = place {
            self.note_written(scope, place);
        }
        metrics::histogram!("database_transaction_seconds").record(began.elapsed().as_secs_f64());
        self.shared.wakers.wake(&kinds);
        Ok(value)
    }

    /// Whoever reads with this scope, or with the token that its caller gets, sees the commit.
    fn note_written(&self, scope: &Scope, place: u64) {
        scope.wrote(place);
        if let Backend::Pg(server) = &self.shared.backend {
            server.note_written(place);
        }
    }

    /// Whether the database answers, for health checks.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> DbResult<()> {
        let conn = &mut self.reader().await?;
        let one: i32 =
            run!(conn, |c| diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1"))
                .get_result::<i32>(c))?;
        debug_assert_eq!(one, 1);
        Ok(())
    }

    /// Looks after the servers of PostgreSQL, as the [`Watch`](crate::Watch) does again and again.
    pub async fn look(&self) {
        if let Backend::Pg(server) = &self.shared.backend {
            server.look().await;
        }
    }

    /// Whether the replica is near enough to be read from; none without one.
    #[must_use]
    pub fn replica_is_near(&self) -> Option<bool> {
        match &self.shared.backend {
            Backend::Pg(server) => server.replica_is_near(),
            Backend::Sqlite(_) => None,
        }
    }

    /// Lets nobody read from a replica without the tables as this connection sees them.
    pub(crate) async fn note_schema(&self, conn: &DbConn) -> DbResult<()> {
        match (&self.shared.backend, conn) {
            (Backend::Pg(server), DbConn::Pg(conn)) => server.note_schema(conn).await,
            _ => Ok(()),
        }
    }

    /// Whether a look would let readers go to the replica sooner.
    pub(crate) fn is_look_wanted(&self) -> bool {
        matches!(&self.shared.backend, Backend::Pg(server) if server.is_look_wanted())
    }

    /// A connection that writes, outside of any transaction: for migrations and maintenance.
    pub(crate) async fn writer(&self) -> DbResult<DbConn> {
        match &self.shared.backend {
            Backend::Pg(server) => {
                let mut conn = server.primary(self.wait()).await?;
                conn.allow_writes().await?;
                Ok(DbConn::Pg(conn))
            }
            Backend::Sqlite(file) => Ok(DbConn::Sqlite(file.writer(self.wait()).await?)),
        }
    }

    /// A connection for a unit of work.
    async fn joined(&self, scope: &Scope) -> DbResult<DbConn> {
        match &self.shared.backend {
            Backend::Pg(server) => Ok(DbConn::Pg(server.primary(self.wait()).await?)),
            Backend::Sqlite(file) if scope.remaining() > SHARED_MAX => {
                Ok(DbConn::Sqlite(file.writer(self.wait()).await?))
            }
            Backend::Sqlite(file) => Ok(DbConn::Sqlite(file.joined(self.wait()).await?)),
        }
    }

    /// A connection that sees every commit; on SQLite it does not wait for the writer.
    async fn reader(&self) -> DbResult<DbConn> {
        match &self.shared.backend {
            Backend::Pg(server) => Ok(DbConn::Pg(server.primary(self.wait()).await?)),
            Backend::Sqlite(file) => Ok(DbConn::Sqlite(file.reader(self.wait()).await?)),
        }
    }

    fn wait(&self) -> Duration {
        self.shared.config.acquire_timeout
    }
}

fn expired() -> Failure {
    Failure::new(
        FailureKind::Expired,
        "database.deadline",
        "the deadline passed before the work was done; nothing was changed",
    )
}
