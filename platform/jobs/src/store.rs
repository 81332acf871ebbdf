//! The job queue in the database.
//!
//! A claim is one statement: due jobs of the queue that no other claimer holds, the oldest of each key
//! and none whose key runs. A claimed job belongs to a lease and an attempt; what a process writes
//! about a job that it lost changes nothing.

use std::time::Duration;

use diesel::sql_types::Bool;
use serde::{Deserialize, Serialize};
use troupe_database::prelude::*;
use troupe_database::schema::jobs;
use troupe_kernel::{TenantId, Timestamp, Uuid};

use crate::record::{JobFilter, JobRecord, JobState};

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = jobs)]
struct Row {
    id: DbUuid,
    queue: String,
    kind: String,
    payload: Json,
    state: String,
    job_key: Option<String>,
    unique_key: Option<String>,
    tenant: Option<DbUuid>,
    trace: Option<String>,
    attempts: i32,
    attempts_max: i32,
    run_at: DbTimestamp,
    last_error: Option<String>,
    updated_at: DbTimestamp,
}

impl From<Row> for JobRecord {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.0,
            queue: row.queue,
            kind: row.kind,
            payload: row.payload.0,
            // The table allows no other text.
            state: row.state.parse().unwrap_or(JobState::Dead),
            key: row.job_key,
            unique: row.unique_key,
            tenant: row.tenant.map(DbUuid::to::<TenantId>),
            trace: row.trace,
            attempts: u16::try_from(row.attempts).unwrap_or(u16::MAX),
            attempts_max: u16::try_from(row.attempts_max).unwrap_or(u16::MAX),
            run_at: row.run_at.0,
            last_error: row.last_error,
            updated_at: row.updated_at.0,
        }
    }
}

/// The oldest of its key, and no other of its key runs.
const KEY_IS_FREE: &str = "(jobs.job_key IS NULL OR NOT EXISTS (SELECT 1 FROM jobs AS other \
     WHERE other.queue = jobs.queue AND other.job_key = jobs.job_key AND (other.state = 'running' \
     OR (other.state = 'waiting' AND (other.run_at, other.id) < (jobs.run_at, jobs.id)))))";

/// Which jobs a queue actor takes, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct Claim<'a> {
    pub(crate) queue: &'a str,
    /// The kinds that this node has handlers for.
    pub(crate) kinds: &'a [String],
    pub(crate) node: Uuid,
    pub(crate) now: Timestamp,
    pub(crate) lease: Duration,
    pub(crate) limit: i64,
}

/// Whether a claim would find something; asked before claiming, because it holds no write lock.
pub(crate) async fn is_due(conn: &mut DbConn, claim: &Claim<'_>) -> DbResult<bool> {
    let first: Option<DbUuid> = run!(conn, |c| jobs::table
        .filter(jobs::queue.eq(claim.queue))
        .filter(jobs::state.eq("waiting"))
        .filter(jobs::run_at.le(DbTimestamp(claim.now)))
        .filter(jobs::kind.eq_any(claim.kinds))
        .select(jobs::id)
        .limit(1)
        .get_result::<DbUuid>(c))
    .optional()?;
    Ok(first.is_some())
}

/// Takes due jobs.
pub(crate) async fn claim(conn: &mut DbConn, claim: &Claim<'_>) -> DbResult<Vec<JobRecord>> {
    let taken = (
        jobs::state.eq("running"),
        jobs::attempts.eq(jobs::attempts + 1),
        jobs::lease.eq(Some(DbUuid(claim.node))),
        jobs::lease_until.eq(Some(DbTimestamp(claim.now.plus(claim.lease)))),
        jobs::updated_at.eq(DbTimestamp(claim.now)),
    );
    let rows: Vec<Row> = run!(conn, |c| {
        let due = jobs::table
            .filter(jobs::queue.eq(claim.queue))
            .filter(jobs::state.eq("waiting"))
            .filter(jobs::run_at.le(DbTimestamp(claim.now)))
            .filter(jobs::kind.eq_any(claim.kinds))
            .filter(fragment::<Bool>(KEY_IS_FREE))
            .order((jobs::run_at, jobs::id))
            .select(jobs::id)
            .limit(claim.limit);
        diesel::update(jobs::table)
            .filter(in_locked(jobs::id, due))
            .set(taken)
            .returning(Row::as_returning())
            .get_results(c)
    })?;
    let mut claimed: Vec<JobRecord> = rows.into_iter().map(JobRecord::from).collect();
    claimed.sort_by_key(|job| (job.run_at, job.id));
    Ok(claimed)
}

/// A claimed job as its process names it: a later attempt of it is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) id: Uuid,
    pub(crate) node: Uuid,
    pub(crate) attempt: u16,
}

/// Prolongs the lease; false when the job was lost.
pub(crate) async fn renew(conn: &mut DbConn, held: &Held, until: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(jobs::table.find(DbUuid(held.id)))
        .filter(jobs::lease.eq(Some(DbUuid(held.node))))
        .filter(jobs::attempts.eq(i32::from(held.attempt)))
        .set(jobs::lease_until.eq(Some(DbTimestamp(until))))
        .execute(c))?;
    Ok(changed == 1)
}

/// Removes a job that was done; false when it was lost.
pub(crate) async fn complete(conn: &mut DbConn, held: &Held) -> DbResult<bool> {
    let removed = run!(conn, |c| diesel::delete(jobs::table.find(DbUuid(held.id)))
        .filter(jobs::lease.eq(Some(DbUuid(held.node))))
        .filter(jobs::attempts.eq(i32::from(held.attempt)))
        .execute(c))?;
    Ok(removed == 1)
}

/// What becomes of a job whose attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setback {
    /// None makes it dead.
    pub(crate) run_at: Option<Timestamp>,
    pub(crate) error: String,
    pub(crate) now: Timestamp,
}

/// Puts a job back or makes it dead; false when it was lost.
pub(crate) async fn set_back(conn: &mut DbConn, held: &Held, setback: &Setback) -> DbResult<bool> {
    let state = if setback.run_at.is_some() { "waiting" } else { "dead" };
    let changed = run!(conn, |c| diesel::update(jobs::table.find(DbUuid(held.id)))
        .filter(jobs::lease.eq(Some(DbUuid(held.node))))
        .filter(jobs::attempts.eq(i32::from(held.attempt)))
        .set((
            jobs::state.eq(state),
            jobs::run_at.eq(DbTimestamp(setback.run_at.unwrap_or(setback.now))),
            jobs::last_error.eq(Some(&setback.error)),
            jobs::lease.eq(None::<DbUuid>),
            jobs::lease_until.eq(None::<DbTimestamp>),
            jobs::updated_at.eq(DbTimestamp(setback.now)),
        ))
        .execute(c))?;
    Ok(changed == 1)
}

/// Whose running jobs are taken back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lost {
    /// Those whose lease has ended.
    Expired,
    /// Those of this process, whose incarnation of the queue has ended.
    Of(Uuid),
    /// All: a database that only this process uses was left by a process that died.
    All,
}

/// Puts jobs of processes that are gone back into the queue, or makes them dead after their last
/// attempt; answers how many.
pub(crate) async fn take_back(
    conn: &mut DbConn,
    queue: &str,
    lost: Lost,
    now: Timestamp,
) -> DbResult<usize> {
    let (any, owner, before) = match lost {
        Lost::All => (true, None, now),
        Lost::Of(node) => (false, Some(DbUuid(node)), Timestamp::MIN),
        Lost::Expired => (false, None, now),
    };
    let mut changed = 0;
    for (state, exhausted) in [("dead", true), ("waiting", false)] {
        changed += run!(conn, |c| {
            let running = diesel::update(jobs::table)
                .filter(jobs::queue.eq(queue))
                .filter(jobs::state.eq("running"))
                .filter(
                    jobs::lease_until
                        .lt(Some(DbTimestamp(before)))
                        .or(jobs::lease.eq(owner))
                        .or(any.into_sql::<Bool>().nullable()),
                );
            running
                .filter(jobs::attempts.ge(jobs::attempts_max).eq(exhausted))
                .set((
                    jobs::state.eq(state),
                    jobs::last_error.eq(Some("the process that worked on it was lost")),
                    jobs::lease.eq(None::<DbUuid>),
                    jobs::lease_until.eq(None::<DbTimestamp>),
                    jobs::updated_at.eq(DbTimestamp(now)),
                ))
                .execute(c)
        })?;
    }
    Ok(changed)
}

/// Whether a lease of the queue has ended; asked before taking back, because it holds no write lock.
pub(crate) async fn is_lost(conn: &mut DbConn, queue: &str, now: Timestamp) -> DbResult<bool> {
    let first: Option<DbUuid> = run!(conn, |c| jobs::table
        .filter(jobs::queue.eq(queue))
        .filter(jobs::state.eq("running"))
        .filter(jobs::lease_until.lt(Some(DbTimestamp(now))))
        .select(jobs::id)
        .limit(1)
        .get_result::<DbUuid>(c))
    .optional()?;
    Ok(first.is_some())
}

/// Puts the running jobs of a process that stops in order back, without counting the attempt.
pub(crate) async fn hand_back(
    conn: &mut DbConn,
    queue: &str,
    node: Uuid,
    now: Timestamp,
) -> DbResult<usize> {
    run!(conn, |c| diesel::update(jobs::table)
        .filter(jobs::queue.eq(queue))
        .filter(jobs::state.eq("running"))
        .filter(jobs::lease.eq(Some(DbUuid(node))))
        .set((
            jobs::state.eq("waiting"),
            jobs::attempts.eq(jobs::attempts - 1),
            jobs::lease.eq(None::<DbUuid>),
            jobs::lease_until.eq(None::<DbTimestamp>),
            jobs::updated_at.eq(DbTimestamp(now)),
        ))
        .execute(c))
}

/// One job.
pub(crate) async fn find(conn: &mut DbConn, id: Uuid) -> DbResult<Option<JobRecord>> {
    let row: Option<Row> =
        run!(conn, |c| jobs::table.find(DbUuid(id)).select(Row::as_select()).get_result(c))
            .optional()?;
    Ok(row.map(JobRecord::from))
}

/// The waiting or running job with this unique value.
pub(crate) async fn find_unique(conn: &mut DbConn, unique: &str) -> DbResult<Option<Uuid>> {
    let id: Option<DbUuid> = run!(conn, |c| jobs::table
        .filter(jobs::unique_key.eq(unique))
        .filter(jobs::state.ne("dead"))
        .select(jobs::id)
        .get_result::<DbUuid>(c))
    .optional()?;
    Ok(id.map(|id| id.0))
}

/// The newest jobs, after one.
pub(crate) async fn list(
    conn: &mut DbConn,
    filter: &JobFilter,
    before: Option<Uuid>,
    rows: i64,
) -> DbResult<Vec<JobRecord>> {
    let before = DbUuid(before.unwrap_or(Uuid::max()));
    let state = filter.state.map(JobState::as_str);
    let rows: Vec<Row> = run!(conn, |c| {
        let mut query = jobs::table.into_boxed();
        if let Some(queue) = &filter.queue {
            query = query.filter(jobs::queue.eq(queue));
        }
        if let Some(state) = state {
            query = query.filter(jobs::state.eq(state));
        }
        query
            .filter(jobs::id.lt(before))
            .order(jobs::id.desc())
            .limit(rows)
            .select(Row::as_select())
            .load(c)
    })?;
    Ok(rows.into_iter().map(JobRecord::from).collect())
}

/// Puts a dead job back with all its attempts; false when it is not dead.
pub(crate) async fn revive(conn: &mut DbConn, id: Uuid, now: Timestamp) -> DbResult<bool> {
    let changed = run!(conn, |c| diesel::update(jobs::table.find(DbUuid(id)))
        .filter(jobs::state.eq("dead"))
        .set((
            jobs::state.eq("waiting"),
            jobs::attempts.eq(0),
            jobs::run_at.eq(DbTimestamp(now)),
            jobs::updated_at.eq(DbTimestamp(now)),
        ))
        .execute(c))?;
    Ok(changed == 1)
}

/// Removes a job that is in one of the states; false when it is not.
pub(crate) async fn remove(conn: &mut DbConn, id: Uuid, states: &[&str]) -> DbResult<bool> {
    let removed = run!(conn, |c| diesel::delete(jobs::table.find(DbUuid(id)))
        .filter(jobs::state.eq_any(states))
        .execute(c))?;
    Ok(removed == 1)
}

type StatsRow = (String, String, i64, Option<DbTimestamp>);

/// Jobs by queue and state, with the first due time.
pub(crate) async fn stats(conn: &mut DbConn) -> DbResult<Vec<StatsRow>> {
    run!(conn, |c| jobs::table
        .group_by((jobs::queue, jobs::state))
        .select((
            jobs::queue,
            jobs::state,
            diesel::dsl::count_star(),
            diesel::dsl::min(jobs::run_at)
        ))
        .order((jobs::queue, jobs::state))
        .load::<StatsRow>(c))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use troupe_actors::Scope;
    use troupe_database::testing::for_both;
    use troupe_database::{Db, UnitOfWork};
    use troupe_kernel::Job;

    use super::*;

    fn scope() -> Scope {
        Scope::system("test", Duration::from_secs(20))
    }

    async fn add(db: &Db, jobs: impl IntoIterator<Item = Job>) {
        let jobs: Vec<Job> = jobs.into_iter().collect();
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            for job in &jobs {
                uow.job(job.clone());
            }
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn take(db: &Db, limit: i64) -> Vec<JobRecord> {
        db.transaction(&scope(), async |uow: &mut UnitOfWork| {
            let kinds = ["test.work".to_owned()];
            let (node, now) = (Uuid::now_v7(), uow.now());
            let wanted = Claim {
                queue: "default",
                kinds: &kinds,
                node,
                now,
                lease: Duration::from_secs(30),
                limit,
            };
            match claim(uow.conn(), &wanted).await {
                Err(DbError::Unique { .. }) => Ok(Vec::new()),
                other => Ok(other?),
            }
        })
        .await
        .unwrap_or_default()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn eight_claimers_at_once_never_take_the_same_job() {
        for_both(&[], async |db: Db| {
            add(&db, (0..200).map(|number| Job::new("test.work", &number))).await;
            let claimers = (0..8).map(|_| async {
                let mut own = Vec::new();
                loop {
                    let taken = take(&db, 7).await;
                    if taken.is_empty() {
                        return own;
                    }
                    assert!(taken.len() <= 7, "a claim never takes more than its limit");
                    own.extend(taken.into_iter().map(|job| job.id));
                }
            });
            let mut all: Vec<Uuid> =
                futures_util::future::join_all(claimers).await.into_iter().flatten().collect();
            // A claimer stops when others hold all that is left; the rest is taken now.
            all.extend(take(&db, 200).await.into_iter().map(|job| job.id));
            assert_eq!(all.len(), 200);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 200);
        })
        .await;
    }

    #[tokio::test]
    async fn of_one_key_only_the_oldest_is_taken_and_none_while_one_runs() {
        for_both(&[], async |db: Db| {
            let keyed = |key: &str, number: u32| Job::new("test.work", &number).key(key);
            add(
                &db,
                [
                    keyed("a", 1),
                    keyed("a", 2),
                    keyed("b", 3),
                    Job::new("test.work", &4),
                    keyed("a", 5),
                ],
            )
            .await;
            let numbers = |jobs: Vec<JobRecord>| -> Vec<u64> {
                jobs.iter().filter_map(|job| job.payload.as_u64()).collect()
            };
            let first = take(&db, 10).await;
            let held = Held { id: first[0].id, node: Uuid::nil(), attempt: 1 };
            assert_eq!(numbers(first), [1, 3, 4]);
            assert_eq!(numbers(take(&db, 10).await), [0_u64; 0]);
            // Another process cannot end a job that it does not hold.
            let foreign = db
                .transaction(&scope(), async |uow: &mut UnitOfWork| {
                    Ok(complete(uow.conn(), &held).await?)
                })
                .await
                .unwrap();
            assert!(!foreign);
        })
        .await;
    }

    #[tokio::test]
    async fn a_kind_that_nobody_here_does_is_left_alone() {
        for_both(&[], async |db: Db| {
            add(&db, [Job::new("test.other", &1), Job::new("test.work", &2)]).await;
            let taken = take(&db, 10).await;
            assert_eq!(taken.len(), 1);
            assert_eq!(taken[0].kind, "test.work");
        })
        .await;
    }
}
