//! One transaction in which a handler changes its rows and says what follows from it.

use troupe_actors::Scope;
use troupe_kernel::ids::new_id;
use troupe_kernel::{AuditRecord, Event, Failure, Job, SharedClock, Timestamp};
use uuid::Uuid;

use crate::callback::Callback;
use crate::connection::DbConn;
use crate::effects::{Circumstances, Effect, Effects};
use crate::error::DbError;

/// State and effects that commit together or not at all.
///
/// Rows are changed through [`conn`](Self::conn). Events, audit records and jobs are kept until the
/// work is done and written just before the commit. Never await the network or another actor in a unit
/// of work: on SQLite it holds the only writer.
#[derive(Debug)]
pub struct UnitOfWork {
    pub(crate) conn: DbConn,
    scope: Scope,
    clock: Shared,
    effects: Effects,
}

/// The clock without a `Debug` of its own.
struct Shared(SharedClock);

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SharedClock")
    }
}

impl UnitOfWork {
    pub(crate) async fn begin(
        mut conn: DbConn,
        scope: &Scope,
        clock: &SharedClock,
    ) -> Result<Self, DbError> {
        conn.begin_unit().await?;
        Ok(Self {
            conn,
            scope: scope.clone(),
            clock: Shared(SharedClock::clone(clock)),
            effects: Effects::default(),
        })
    }

    /// The connection, for repository functions.
    pub fn conn(&mut self) -> &mut DbConn {
        &mut self.conn
    }

    /// The circumstances of the work.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The time now, by the platform's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.0.now()
    }

    /// A new id that sorts by time, as any typed id.
    #[must_use]
    pub fn new_id<T: From<Uuid>>(&self) -> T {
        T::from(new_id(&*self.clock.0))
    }

    /// Adds an event. Its id, time, tenant and trace come from here unless it has them.
    pub fn event(&mut self, event: Event) {
        self.effects.event(event);
    }

    /// Adds an audit record.
    pub fn audit(&mut self, record: AuditRecord) {
        self.effects.audit(record);
    }

    /// Adds a job and answers its id. A job with a unique value is not added while another waits or runs.
    pub fn job(&mut self, job: Job) -> Uuid {
        let id = new_id(&*self.clock.0);
        self.effects.job(id, job);
        id
    }

    /// Does a part of the work in a savepoint: when it fails, its rows and effects are undone and the
    /// rest may go on.
    ///
    /// # Errors
    /// The failure of the part.
    pub async fn nested<R, E, F>(&mut self, part: F) -> Result<R, E>
    where
        R: Send,
        E: From<DbError> + Send,
        F: for<'u> AsyncFnOnce(&'u mut UnitOfWork) -> Result<R, E>
            + for<'u> Callback<&'u mut UnitOfWork, Result<R, E>, Running: Send>
            + Send,
    {
        let mark = self.effects.mark();
        self.conn.savepoint().await?;
        match part(self).await {
            Ok(value) => {
                self.conn.commit().await?;
                Ok(value)
            }
            Err(error) => {
                self.effects.back_to(mark);
                self.conn.rollback().await?;
                Err(error)
            }
        }
    }

    /// Which kinds of effects there are.
    pub(crate) fn kinds(&self) -> Vec<Effect> {
        self.effects.kinds()
    }

    /// Writes the effects and commits; says which kinds there were.
    pub(crate) async fn commit(self) -> Result<Vec<Effect>, Failure> {
        let circumstances = Circumstances { scope: &self.scope, clock: &self.clock.0 };
        let kinds = self.effects.kinds();
        let writes = self.effects.into_writes(&circumstances)?;
        match self.conn {
            DbConn::Pg(conn) => conn.finish(writes).await.map_err(DbError::from)?,
            DbConn::Sqlite(conn) => {
                let write = move |conn: &mut diesel::SqliteConnection| {
                    writes.iter().try_for_each(|write| write.on_sqlite(conn).map(drop))
                };
                conn.finish_unit(write).await.map_err(DbError::from)?.committed().await?;
            }
        }
        Ok(kinds)
    }

    /// Undoes everything. On SQLite dropping it does.
    pub(crate) async fn rollback(self) {
        let DbConn::Pg(mut conn) = self.conn else { return };
        if let Err(error) = conn.rollback().await {
            // The pool closes a connection with an open transaction, which undoes it as well.
            tracing::debug!(%error, "a rollback failed");
        }
    }
}
