//! A pooled PostgreSQL connection and its transaction, whose statements are sent without waiting.
//!
//! The answer to `BEGIN` is not awaited: sessions are read-only outside of a transaction that says
//! otherwise, so without it no write succeeds. The last writes and `COMMIT` go out together; a write
//! that fails makes the server roll back at `COMMIT`, and its error is what the caller gets.

use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::task::Poll;

use diesel::result::QueryResult;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncConnectionCore, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::try_join;

use super::plain::{Plain, WHERE};
use super::pool::Seat;
use crate::effects::Write;
use crate::query::Running;

/// Statements that are sent together: the server answers them meanwhile, and both sides buffer.
const TOGETHER_MAX: usize = 32;

/// A pooled PostgreSQL connection.
///
/// When it is dropped inside a transaction (its future was cancelled) it is closed instead of being
/// returned, so that the server rolls back and frees the locks at once.
pub struct PgConn {
    /// Some until drop.
    object: Option<Box<Object<AsyncPgConnection>>>,
    /// 1 in a transaction, more in savepoints.
    depth: u32,
    /// Whether the pool may have it back.
    is_reusable: bool,
    /// The server it is a connection to.
    seat: Arc<Seat>,
}

impl PgConn {
    pub(super) fn new(object: Object<AsyncPgConnection>, seat: &Arc<Seat>) -> Self {
        let seat = Arc::clone(seat);
        Self { object: Some(Box::new(object)), depth: 0, is_reusable: true, seat }
    }

    /// Lets the session write outside of a transaction; it is closed at the end.
    pub(crate) async fn allow_writes(&mut self) -> QueryResult<()> {
        self.is_reusable = false;
        self.batch_execute("SET default_transaction_read_only = off").await
    }

    /// A place in the log behind what was committed until now.
    pub(super) async fn place(&self) -> QueryResult<u64> {
        WHERE.place(self).await
    }

    /// Keeps the connection from whoever comes next: something on it has not ended.
    pub(crate) fn abandon(&mut self) {
        self.is_reusable = false;
    }

    /// Sends what begins a transaction, before whatever is sent next.
    pub(crate) fn send_begin(&mut self) -> QueryResult<()> {
        self.depth = 1;
        let mut conn: &AsyncPgConnection = self;
        // The first poll sends; dropping the future drops the answer only.
        conn.batch_execute(BEGIN).now_or_never().unwrap_or(Ok(()))
    }

    /// Begins a transaction, or a savepoint in one.
    pub(crate) async fn begin(&mut self) -> QueryResult<()> {
        let depth = self.depth;
        self.depth += 1;
        match depth {
            0 => self.batch_execute(BEGIN).await,
            _ => self.batch_execute(&format!("SAVEPOINT part_{depth}")).await,
        }
    }

    /// Keeps what happened since [`begin`](Self::begin).
    pub(crate) async fn commit(&mut self) -> QueryResult<()> {
        match self.depth {
            0 | 1 => self.batch_execute("COMMIT").await?,
            depth => self.batch_execute(&format!("RELEASE SAVEPOINT part_{}", depth - 1)).await?,
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    /// Undoes what happened since [`begin`](Self::begin).
    pub(crate) async fn rollback(&mut self) -> QueryResult<()> {
        match self.depth {
            0 | 1 => self.batch_execute("ROLLBACK").await?,
            depth => {
                let sql = format!("ROLLBACK TO SAVEPOINT part_{}", depth - 1);
                self.batch_execute(&sql).await?;
            }
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    /// Writes the last rows and commits. With a replica it answers a place in the log behind the
    /// commit. After an error the connection is closed.
    pub(crate) async fn finish(mut self, writes: Vec<Write>) -> QueryResult<Option<u64>> {
        let is_awaited = self.seat.is_awaited();
        let flusher = if is_awaited { self.seat.flushers().current().await } else { None };
        let Some(flusher) = flusher else { return self.send_commit(writes, None).await };
        self.send_commit(writes, Some(UNFLUSHED)).await?;
        let tells_places = self.seat.tells_places();
        drop(self);
        let place = flusher.flush().await?;
        Ok(tells_places.then_some(place))
    }

    /// Writes the last rows and commits, in one exchange.
    async fn send_commit(
        &mut self,
        mut writes: Vec<Write>,
        setting: Option<Plain>,
    ) -> QueryResult<Option<u64>> {
        while writes.len() > TOGETHER_MAX {
            let rest = writes.split_off(TOGETHER_MAX);
            let conn: &AsyncPgConnection = self;
            in_order(writes.into_iter().map(|write| write.on_postgres(conn)).collect()).await?;
            writes = rest;
        }
        let mut conn: &AsyncPgConnection = self;
        let mut statements: Vec<Running<'_, usize>> =
            writes.into_iter().map(|write| write.on_postgres(conn)).collect();
        // In a transaction that failed, and whose owner ignored it, the server takes COMMIT for
        // ROLLBACK without an error. The statement before it fails then.
        if let Some(statement) = setting.or(statements.is_empty().then_some(NOTHING)) {
            statements.push(conn.execute_returning_count(statement));
        }
        statements.push(conn.execute_returning_count(Plain("COMMIT")));
        // The flush that follows tells the place as well.
        let place = if self.seat.tells_places() && setting.is_none() {
            // Sent behind the commit, in the same exchange.
            let (_, place) = try_join(in_order(statements), WHERE.place(conn)).await?;
            Some(place)
        } else {
            in_order(statements).await?;
            None
        };
        self.depth = 0;
        Ok(place)
    }
}

const BEGIN: &str = "BEGIN READ WRITE";
const NOTHING: Plain = Plain("SELECT 1");
/// The commit does not wait for the disk; somebody else does.
const UNFLUSHED: Plain = Plain("SET LOCAL synchronous_commit = off");

/// Polls all in their order until each has ended, or one has failed: what was not sent by then never is.
///
/// Each takes the lock of the statement cache in that order and sends before it lets the next one
/// have it, also when it must be prepared first: so they reach the server in this order.
async fn in_order(mut statements: Vec<Running<'_, usize>>) -> QueryResult<()> {
    poll_fn(move |task| {
        let mut place = 0;
        while let Some(statement) = statements.get_mut(place) {
            match statement.poll_unpin(task)? {
                Poll::Ready(_) => drop(statements.remove(place)),
                Poll::Pending => place += 1,
            }
        }
        if statements.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
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
            && (self.depth > 0 || !self.is_reusable || object.is_broken())
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use diesel::result::Error;
    use futures_util::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_comes_after_a_failure_is_never_sent() {
        let sent = AtomicUsize::new(0);
        let statement = |result: QueryResult<usize>| -> Running<'_, usize> {
            Box::pin(
                poll_fn(|_| Poll::Ready(sent.fetch_add(1, Ordering::Relaxed)))
                    .then(|_| ready(result)),
            )
        };
        let unanswered = pending().boxed();
        let failing = [Ok(1), Err(Error::NotFound), Ok(1)].map(statement);
        let all = std::iter::once(unanswered).chain(failing).collect();
        assert_eq!(in_order(all).await, Err(Error::NotFound));
        assert_eq!(sent.load(Ordering::Relaxed), 2);
        assert_eq!(in_order([Ok(1), Ok(1)].map(statement).into()).await, Ok(()));
    }
}
