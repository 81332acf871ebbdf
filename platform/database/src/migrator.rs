//! Brings a database to a plan's schema, back, or says how they differ.
//!
//! Applied migrations are kept in `schema_migrations` by owner and version, with a hash of the script.
//! Each step is one transaction (both dialects roll schema changes back), and its record is written
//! first, so that two processes never apply the same step. On PostgreSQL the whole run holds an advisory
//! lock. diesel's own runner is not used: its key is one global version and a duplicate is skipped
//! silently.

use std::collections::BTreeMap;

use crate::prelude::*;
use troupe_kernel::{Migration, Timestamp};

use crate::db::Db;
use crate::epoch;
use crate::migrations::{Plan, checksum, scripts};

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::columns::Instant;

    /// Migrations that were applied.
    schema_migrations (owner, version) {
        owner -> Text,
        version -> Text,
        name -> Text,
        checksum -> Text,
        applied_order -> BigInt,
        applied_at -> Instant,
    }
}

/// Any number that nobody else locks: the ASCII of "troupe".
const ADVISORY_LOCK: i64 = 0x7472_6f75_7065;

/// Why the schema was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The program's own list is wrong: a defect.
    #[error("the migrations do not fit together: {}", faults.join("; "))]
    Plan {
        /// Each fault.
        faults: Vec<String>,
    },
    /// The database has migrations of a newer program.
    #[error("the database was migrated by a newer version of this program (it has {}); start that version, or restore a backup", unknown.join(", "))]
    Newer {
        /// What this program does not know, `owner/version_name`.
        unknown: Vec<String>,
    },
    /// A migration was edited after it was applied.
    #[error(
        "the migration {migration} was changed after it was applied; restore its text and add a new migration instead"
    )]
    Changed {
        /// `owner/version_name`.
        migration: String,
    },
    /// A migration is to be applied that comes before an applied one.
    #[error(
        "the migration {migration} comes before {applied}, which is applied; give it a higher version"
    )]
    OutOfOrder {
        /// `owner/version_name`, not applied.
        migration: String,
        /// `owner/version_name`, applied.
        applied: String,
    },
    /// A script failed; nothing of it was kept.
    #[error("the migration {migration} failed and was undone: {detail}")]
    Failed {
        /// `owner/version_name`.
        migration: String,
        /// The database's words.
        detail: String,
    },
    /// A migration that is applied and unknown cannot be undone.
    #[error(
        "the migration {migration} belongs to no module of this program, so it cannot be undone here"
    )]
    Unknown {
        /// `owner/version_name`.
        migration: String,
    },
}

/// The state of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Whose it is.
    pub owner: String,
    /// Its version within the owner.
    pub version: String,
    /// Its name.
    pub name: String,
    /// When it was applied; none when it is pending.
    pub applied_at: Option<Timestamp>,
    /// Whether this program has it; an applied one of a module that was left out is not known.
    pub known: bool,
}

#[derive(Debug, Clone, Queryable)]
struct Applied {
    owner: String,
    version: String,
    name: String,
    checksum: String,
    _order: i64,
    applied_at: DbTimestamp,
}

impl Applied {
    fn id(&self) -> String {
        format!("{}/{}_{}", self.owner, self.version, self.name)
    }
}

impl Db {
    /// Applies every pending migration and answers which, as `owner/version_name`. Also lets the log
    /// of events go on in another cluster, if the database was restored into one.
    ///
    /// # Errors
    /// [`SchemaError`] when the database does not fit this program; nothing is changed then.
    pub async fn migrate(&self, plan: &Plan) -> DbResult<Vec<String>> {
        let conn = &mut self.writer().await?;
        lock(conn).await?;
        let result = match up(conn, plan, self.clock().now()).await {
            Ok(done) => match epoch::rebase(conn).await {
                Ok(()) => self.note_schema(conn).await.map(|()| done),
                Err(error) => Err(error),
            },
            failed => failed,
        };
        unlock(conn).await?;
        result
    }

    /// Undoes the last `steps` migrations in reverse order and answers which.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub async fn revert(&self, plan: &Plan, steps: usize) -> DbResult<Vec<String>> {
        let conn = &mut self.writer().await?;
        lock(conn).await?;
        let result = down(conn, plan, steps).await;
        unlock(conn).await?;
        result
    }

    /// Every migration of the plan and of the database, in order, without changing anything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn migrations(&self, plan: &Plan) -> DbResult<Vec<MigrationState>> {
        let conn = &mut self.writer().await?;
        create_table(conn).await?;
        let applied = applied(conn).await?;
        Ok(states(plan, &applied))
    }

    /// Whether the schema is the one this program needs.
    ///
    /// # Errors
    /// [`SchemaError::Newer`] and its kin; a pending migration is no error, see the answer.
    pub async fn check_schema(&self, plan: &Plan) -> DbResult<Vec<String>> {
        let dialect = self.dialect();
        let conn = &mut self.writer().await?;
        create_table(conn).await?;
        let applied = applied(conn).await?;
        Ok(pending(plan, &applied, dialect)?.iter().map(|step| id(step)).collect())
    }
}

fn id(step: &Migration) -> String {
    format!("{}/{}_{}", step.owner, step.version, step.name)
}

async fn lock(conn: &mut DbConn) -> DbResult<()> {
    if conn.dialect() == Dialect::Postgres {
        // Another node may be migrating; wait for it as long as it takes, within reason.
        conn.batch("SET lock_timeout = '10min'; SET statement_timeout = '30min'").await?;
        conn.batch(&format!("SELECT pg_advisory_lock({ADVISORY_LOCK})")).await?;
    }
    create_table(conn).await
}

async fn unlock(conn: &mut DbConn) -> DbResult<()> {
    if conn.dialect() == Dialect::Postgres {
        conn.batch(&format!("SELECT pg_advisory_unlock({ADVISORY_LOCK})")).await?;
    }
    Ok(())
}

async fn create_table(conn: &mut DbConn) -> DbResult<()> {
    let (instant, big) = match conn.dialect() {
        Dialect::Postgres => ("TIMESTAMPTZ", "BIGINT"),
        Dialect::Sqlite => ("INTEGER", "INTEGER"),
    };
    conn.batch(&format!(
        "CREATE TABLE IF NOT EXISTS schema_migrations (owner TEXT NOT NULL, version TEXT NOT NULL, \
         name TEXT NOT NULL, checksum TEXT NOT NULL, applied_order {big} NOT NULL UNIQUE, \
         applied_at {instant} NOT NULL, PRIMARY KEY (owner, version))"
    ))
    .await
}

async fn applied(conn: &mut DbConn) -> DbResult<Vec<Applied>> {
    run!(conn, |c| schema_migrations::table
        .order(schema_migrations::applied_order)
        .load::<Applied>(c))
}

/// What is to be applied, after checking that the database fits the plan.
fn pending<'a>(
    plan: &'a Plan,
    applied: &[Applied],
    dialect: Dialect,
) -> Result<Vec<&'a Migration>, SchemaError> {
    let known: BTreeMap<(&str, &str), &Migration> =
        plan.steps().iter().map(|step| ((step.owner, step.version), step)).collect();
    let unknown: Vec<String> = applied
        .iter()
        .filter(|row| plan.steps().iter().any(|step| step.owner == row.owner))
        .filter(|row| !known.contains_key(&(row.owner.as_str(), row.version.as_str())))
        .map(Applied::id)
        .collect();
    if !unknown.is_empty() {
        return Err(SchemaError::Newer { unknown });
    }
    for row in applied {
        if let Some(step) = known.get(&(row.owner.as_str(), row.version.as_str()))
            && checksum(step, dialect) != row.checksum
        {
            return Err(SchemaError::Changed { migration: id(step) });
        }
    }
    let mut steps = Vec::new();
    for step in plan.steps() {
        if applied.iter().any(|row| row.owner == step.owner && row.version == step.version) {
            continue;
        }
        if let Some(later) = applied
            .iter()
            .find(|row| row.owner == step.owner && row.version.as_str() > step.version)
        {
            return Err(SchemaError::OutOfOrder { migration: id(step), applied: later.id() });
        }
        steps.push(step);
    }
    Ok(steps)
}

fn states(plan: &Plan, applied: &[Applied]) -> Vec<MigrationState> {
    let of_row = |row: &Applied, known| MigrationState {
        owner: row.owner.clone(),
        version: row.version.clone(),
        name: row.name.clone(),
        applied_at: Some(row.applied_at.0),
        known,
    };
    let find = |owner: &str, version: &str| {
        plan.steps().iter().any(|step| step.owner == owner && step.version == version)
    };
    let mut states: Vec<MigrationState> =
        applied.iter().map(|row| of_row(row, find(&row.owner, &row.version))).collect();
    for step in plan.steps() {
        if !applied.iter().any(|row| row.owner == step.owner && row.version == step.version) {
            states.push(MigrationState {
                owner: step.owner.to_owned(),
                version: step.version.to_owned(),
                name: step.name.to_owned(),
                applied_at: None,
                known: true,
            });
        }
    }
    states
}

async fn up(conn: &mut DbConn, plan: &Plan, now: Timestamp) -> DbResult<Vec<String>> {
    let dialect = conn.dialect();
    let rows = applied(conn).await?;
    let mut done = Vec::new();
    for step in pending(plan, &rows, dialect)? {
        conn.begin().await?;
        let result = apply(conn, step, now).await;
        match result {
            Ok(true) => {
                conn.commit().await?;
                tracing::info!(migration = id(step), "migrated");
                done.push(id(step));
            }
            Ok(false) => conn.rollback().await?,
            Err(error) => {
                conn.rollback().await?;
                return Err(failed(id(step), error));
            }
        }
    }
    Ok(done)
}

/// Applies one step inside its transaction; false when another process was first.
async fn apply(conn: &mut DbConn, step: &Migration, now: Timestamp) -> DbResult<bool> {
    use schema_migrations as table;
    let dialect = conn.dialect();
    let order: Option<i64> = run!(conn, |c| table::table
        .select(diesel::dsl::max(table::applied_order))
        .get_result::<Option<i64>>(c))?;
    let row = (
        table::owner.eq(step.owner),
        table::version.eq(step.version),
        table::name.eq(step.name),
        table::checksum.eq(checksum(step, dialect)),
        table::applied_order.eq(order.unwrap_or(0).saturating_add(1)),
        table::applied_at.eq(DbTimestamp(now)),
    );
    let inserted: usize = run!(conn, |c| diesel::insert_into(table::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(c))?;
    if inserted == 0 {
        return Ok(false);
    }
    conn.batch(scripts(step, dialect).up).await?;
    Ok(true)
}

async fn down(conn: &mut DbConn, plan: &Plan, steps: usize) -> DbResult<Vec<String>> {
    let dialect = conn.dialect();
    let rows = applied(conn).await?;
    pending(plan, &rows, dialect)?;
    let mut done = Vec::new();
    for row in rows.iter().rev().take(steps) {
        let step = plan
            .steps()
            .iter()
            .find(|step| step.owner == row.owner && step.version == row.version)
            .ok_or_else(|| SchemaError::Unknown { migration: row.id() })?;
        conn.begin().await?;
        if let Err(error) = undo(conn, step).await {
            conn.rollback().await?;
            return Err(failed(id(step), error));
        }
        conn.commit().await?;
        tracing::info!(migration = id(step), "reverted");
        done.push(id(step));
    }
    Ok(done)
}

async fn undo(conn: &mut DbConn, step: &Migration) -> DbResult<()> {
    use schema_migrations as table;
    let dialect = conn.dialect();
    conn.batch(scripts(step, dialect).down).await?;
    let deleted: DbResult<usize> = run!(conn, |c| diesel::delete(table::table)
        .filter(table::owner.eq(step.owner))
        .filter(table::version.eq(step.version))
        .execute(c));
    deleted.map(|_| ())
}

fn failed(migration: String, error: DbError) -> DbError {
    let detail = match &error {
        DbError::Query(cause) => cause.to_string(),
        other => other.to_string(),
    };
    SchemaError::Failed { migration, detail }.into()
}
