//! Audit records on their way to the chain.

use crate::prelude::*;
use troupe_kernel::{AuditRecord, Failure};

use super::Circumstances;
use crate::schema::audit_queue;

pub(super) async fn insert(
    conn: &mut DbConn,
    circumstances: &Circumstances<'_>,
    record: AuditRecord,
) -> Result<(), Failure> {
    let row = (
        audit_queue::tenant.eq(record.tenant.map(DbUuid::of)),
        audit_queue::recorded_at.eq(DbTimestamp(circumstances.now())),
        audit_queue::record.eq(Json::of(&record)?),
    );
    let written: DbResult<usize> =
        run!(conn, |c| diesel::insert_into(audit_queue::table).values(row).execute(c));
    written?;
    Ok(())
}
