//! The epoch of the log (docs/adr/0009): what keeps the order of commits when a database moves to
//! another PostgreSQL cluster.
//!
//! A place in the log is `base` plus the id of a transaction, and ids belong to a cluster. After a dump
//! was restored into a younger one, its ids are below the places that are stored: no consumer would
//! see a new event until the cluster has caught up. The base rises then, and everything stored is past.

use crate::prelude::*;

diesel::table! {
    use diesel::sql_types::{BigInt, Bool};

    /// One row.
    log_epoch (is_only) {
        is_only -> Bool,
        base -> BigInt,
    }
}

/// Whatever this statement sees was written by a transaction below the end of its snapshot, so a
/// higher place can only come from another cluster.
const REBASE: &str = "UPDATE log_epoch SET base = stored.highest FROM (SELECT GREATEST( \
     (SELECT max(transaction_id) FROM outbox), \
     (SELECT max(transaction_id) FROM consumer_offsets)) AS highest) AS stored \
     WHERE stored.highest >= base + pg_snapshot_xmax(pg_current_snapshot())::text::bigint";

/// Lets the log go on above everything that is stored. Before anybody writes an event.
pub(crate) async fn rebase(conn: &mut DbConn) -> DbResult<()> {
    if conn.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let before = base(conn).await?;
    conn.batch(REBASE).await?;
    let after = base(conn).await?;
    if after != before {
        tracing::warn!(
            base = after,
            "the database was restored from another cluster; its log goes on from there"
        );
    }
    Ok(())
}

async fn base(conn: &mut DbConn) -> DbResult<i64> {
    run!(conn, |c| log_epoch::table.select(log_epoch::base).get_result::<i64>(c))
}
