//! Jobs on their way to the queue.

use crate::prelude::*;
use troupe_kernel::Job;
use uuid::Uuid;

use super::{Circumstances, Statement};
use crate::schema::jobs;

/// Adds the job, unless one with the same unique value waits or runs.
pub(super) fn insertion(
    circumstances: &Circumstances<'_>,
    id: Uuid,
    job: Job,
) -> impl Statement + use<> {
    let now = circumstances.now();
    let row = (
        jobs::id.eq(DbUuid(id)),
        jobs::queue.eq(job.queue),
        jobs::kind.eq(job.kind),
        jobs::payload.eq(Json(job.payload)),
        jobs::state.eq("waiting"),
        jobs::job_key.eq(job.key),
        jobs::unique_key.eq(job.unique),
        jobs::tenant.eq(circumstances.scope.tenant().map(DbUuid)),
        jobs::trace.eq(circumstances.trace()),
        jobs::attempts.eq(0),
        jobs::attempts_max.eq(i32::from(job.attempts_max.max(1))),
        jobs::run_at.eq(DbTimestamp(job.run_at.unwrap_or(now))),
        jobs::updated_at.eq(DbTimestamp(now)),
    );
    diesel::insert_into(jobs::table).values(row).on_conflict_do_nothing()
}
