//! Units of work that wait for the one writer share its transaction and commit together.
//!
//! The first begins the transaction. Each works in a savepoint, so that its failure undoes its own
//! changes only. Its caller gets an answer when the transaction has committed: by the unit after which
//! nobody waits to join, or by the last that fits in. When the commit fails, all fail. What a dropped
//! future leaves behind is undone on the connection's thread, before the next unit begins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::{QueryResult, SqliteConnection};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use troupe_kernel::Failure;

use crate::error::DbError;

/// Units in one transaction.
const UNITS_MAX: usize = 64;
/// After this time nobody joins any more.
const OPEN_MAX: Duration = Duration::from_millis(50);

type Outcome = Result<(), Failure>;

/// The transaction that is open, and who waits for its commit.
#[derive(Debug)]
pub(super) struct Group {
    members: Members,
    units: usize,
    began: Instant,
}

/// Those whose units are done. Dropping them tells them that nothing was committed.
#[derive(Debug, Clone, Default)]
pub(super) struct Members(Arc<Mutex<Vec<oneshot::Sender<Outcome>>>>);

/// What became of the transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Others may work in it.
    Open,
    /// It is over.
    Ended,
    /// The connection is in an unknown state and must be closed.
    Lost,
}

impl Group {
    pub(super) fn new() -> Self {
        Self { members: Members::default(), units: 0, began: Instant::now() }
    }

    pub(super) fn members(&self) -> Members {
        self.members.clone()
    }

    pub(super) fn count(&mut self) {
        self.units += 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.units >= UNITS_MAX || self.began.elapsed() >= OPEN_MAX
    }
}

impl Members {
    pub(super) fn add(&self, member: oneshot::Sender<Outcome>) {
        self.0.lock().push(member);
    }

    fn tell(&self, outcome: &Outcome) {
        for member in self.0.lock().drain(..) {
            // Who gave up waiting needs no answer.
            drop(member.send(outcome.clone()));
        }
    }
}

/// Begins a unit, and the transaction before the first one.
pub(super) fn begin(conn: &mut SqliteConnection, is_first: bool) -> QueryResult<()> {
    if is_first {
        AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")?;
    }
    AnsiTransactionManager::begin_transaction(conn)
}

/// Keeps what the unit did.
pub(super) fn release(conn: &mut SqliteConnection) -> QueryResult<()> {
    AnsiTransactionManager::commit_transaction(conn)
}

/// Undoes whatever a unit left behind.
pub(super) fn undo(conn: &mut SqliteConnection) -> Fate {
    loop {
        match depth(conn) {
            Ok(0) => return Fate::Ended,
            Ok(1) => return Fate::Open,
            // SQLite ends a whole transaction by itself on some errors, such as a full disk. The
            // savepoint is gone then and this fails.
            Ok(_) if AnsiTransactionManager::rollback_transaction(conn).is_ok() => {}
            _ => return Fate::Lost,
        }
    }
}

/// Commits the transaction and tells everybody.
pub(super) fn end(conn: &mut SqliteConnection, members: &Members) -> Fate {
    let committed = AnsiTransactionManager::commit_transaction(conn);
    let outcome = committed.map_err(|error| Failure::from(DbError::from(error)));
    let fate = match &outcome {
        Ok(()) => Fate::Ended,
        Err(_) => rolled_back(conn),
    };
    members.tell(&outcome);
    fate
}

fn rolled_back(conn: &mut SqliteConnection) -> Fate {
    match depth(conn) {
        Ok(0) => Fate::Ended,
        Ok(1) if AnsiTransactionManager::rollback_transaction(conn).is_ok() => Fate::Ended,
        _ => Fate::Lost,
    }
}

fn depth(conn: &mut SqliteConnection) -> QueryResult<u32> {
    let status = <AnsiTransactionManager as TransactionManager<SqliteConnection>>::transaction_manager_status_mut(conn);
    Ok(status.transaction_depth()?.map_or(0, std::num::NonZeroU32::get))
}
