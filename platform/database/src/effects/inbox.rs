//! The inbox: which events a consumer has applied.

use crate::prelude::*;
use troupe_kernel::Timestamp;
use uuid::Uuid;

use crate::schema::inbox;

/// Notes the event for this consumer; false when it was noted before. A second transaction with the
/// same event waits here for the first.
pub(crate) async fn first_delivery(
    conn: &mut DbConn,
    consumer: &str,
    event: Uuid,
    now: Timestamp,
) -> DbResult<bool> {
    let row = (
        inbox::consumer.eq(consumer),
        inbox::event_id.eq(DbUuid(event)),
        inbox::applied_at.eq(DbTimestamp(now)),
    );
    let written: usize = run!(conn, |c| diesel::insert_into(inbox::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(written == 1)
}
