//! Records that wait to be sealed. The table is the unit of work's; only the sealer empties it.

use troupe_database::prelude::*;
use troupe_database::schema::audit_queue;
use troupe_kernel::ids::TenantId;

/// A waiting record.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = audit_queue)]
pub struct QueueRow {
    /// Its place, in the order in which records were written.
    pub position: i64,
    /// When it was written.
    pub recorded_at: DbTimestamp,
    /// The record.
    pub record: Json,
}

/// The first `limit` records.
///
/// # Errors
/// As the database says.
pub async fn first(conn: &mut DbConn, limit: i64) -> DbResult<Vec<QueueRow>> {
    run!(conn, |c| audit_queue::table
        .order(audit_queue::position.asc())
        .limit(limit)
        .select(QueueRow::as_select())
        .load(c))
}

/// The first `limit` records of a tenant; none lists those of all.
///
/// # Errors
/// As the database says.
pub async fn first_of(
    conn: &mut DbConn,
    tenant: Option<TenantId>,
    limit: i64,
) -> DbResult<Vec<QueueRow>> {
    match tenant {
        None => first(conn, limit).await,
        Some(tenant) => {
            run!(conn, |c| audit_queue::table
                .filter(audit_queue::tenant.eq(DbUuid::of(tenant)))
                .order(audit_queue::position.asc())
                .limit(limit)
                .select(QueueRow::as_select())
                .load(c))
        }
    }
}

/// Removes records that were sealed.
///
/// # Errors
/// As the database says.
pub async fn remove(conn: &mut DbConn, positions: &[i64]) -> DbResult<usize> {
    // SQLite takes a bounded number of parameters in a statement.
    let mut removed = 0;
    for part in positions.chunks(500) {
        removed += run!(conn, |c| diesel::delete(
            audit_queue::table.filter(audit_queue::position.eq_any(part.to_vec()))
        )
        .execute(c))?;
    }
    Ok(removed)
}

/// How many records wait, and since when the oldest does.
///
/// # Errors
/// As the database says.
pub async fn waiting(conn: &mut DbConn) -> DbResult<(i64, Option<DbTimestamp>)> {
    let count: i64 = run!(conn, |c| audit_queue::table.count().get_result(c))?;
    let oldest: Option<DbTimestamp> = run!(conn, |c| audit_queue::table
        .order(audit_queue::position.asc())
        .limit(1)
        .select(audit_queue::recorded_at)
        .get_result(c))
    .optional()?;
    Ok((count, oldest))
}
