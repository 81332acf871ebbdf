//! Audit records on their way to the chain.

use crate::prelude::*;
use troupe_kernel::{AuditRecord, Failure};

use super::{Circumstances, Statement};
use crate::schema::audit_queue;

pub(super) fn insertion(
    circumstances: &Circumstances<'_>,
    record: &AuditRecord,
) -> Result<impl Statement + use<>, Failure> {
    let row = (
        audit_queue::tenant.eq(record.tenant.map(DbUuid::of)),
        audit_queue::recorded_at.eq(DbTimestamp(circumstances.now())),
        audit_queue::record.eq(Json::of(record)?),
    );
    Ok(diesel::insert_into(audit_queue::table).values(row))
}
