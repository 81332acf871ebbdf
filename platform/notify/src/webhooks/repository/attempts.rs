//! Rows of attempts.

use troupe_database::prelude::*;

use super::schema::notify_webhook_attempts::{self, dsl};
use crate::webhooks::messages::AttemptRecord;

/// One attempt as stored.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = notify_webhook_attempts, treat_none_as_default_value = false)]
pub struct AttemptRow {
    /// Its delivery.
    pub delivery_id: DbUuid,
    /// Which attempt, from 1.
    pub number: i32,
    /// When it began.
    pub began_at: DbTimestamp,
    /// How long it took, in milliseconds.
    pub latency_ms: i32,
    /// The status of the answer.
    pub status: Option<i32>,
    /// How the body of the answer begins.
    pub response: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

impl From<AttemptRow> for AttemptRecord {
    fn from(row: AttemptRow) -> Self {
        Self {
            number: row.number,
            began_at: row.began_at.into(),
            latency_ms: row.latency_ms,
            status: row.status,
            response: row.response,
            error: row.error,
        }
    }
}

/// Adds an attempt.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &AttemptRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(notify_webhook_attempts::table)
        .values(row.clone())
        .execute(c))?;
    Ok(())
}

/// The last attempts at a delivery, latest first.
///
/// # Errors
/// As the database says.
pub async fn of(conn: &mut DbConn, delivery: DbUuid, rows: i64) -> DbResult<Vec<AttemptRow>> {
    run!(conn, |c| dsl::notify_webhook_attempts
        .filter(dsl::delivery_id.eq(delivery))
        .order(dsl::number.desc())
        .limit(rows)
        .select(AttemptRow::as_select())
        .load(c))
}

/// Removes the attempts at deliveries.
///
/// # Errors
/// As the database says.
pub async fn delete_of(conn: &mut DbConn, deliveries: Vec<DbUuid>) -> DbResult<usize> {
    run!(conn, |c| diesel::delete(
        dsl::notify_webhook_attempts.filter(one_of(dsl::delivery_id, deliveries))
    )
    .execute(c))
}
