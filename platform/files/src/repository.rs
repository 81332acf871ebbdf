//! Rows of files and of uploads that are to become files.

use troupe_database::prelude::*;
use troupe_kernel::{Failure, Migration, TenantId, Timestamp, Uuid};

use crate::messages::{File, FileId};

/// The table of this module.
pub const MIGRATIONS: &[Migration] = troupe_database::migrations!("files", ["0001_files"]);

/// The state of an upload.
pub const OPEN: &str = "open";
/// The state of a file.
pub const STORED: &str = "stored";

#[allow(missing_docs, reason = "the columns are described in the migration")]
mod schema {
    use troupe_database::{Id, Instant};

    diesel::table! {
        use diesel::sql_types::{BigInt, Nullable, Text};
        use super::{Id, Instant};

        files (id) {
            id -> Id,
            tenant_id -> Id,
            owner_id -> Id,
            name -> Text,
            content_type -> Text,
            size_bytes -> BigInt,
            digest -> Text,
            part_size_bytes -> BigInt,
            state -> Text,
            created_at -> Instant,
            expires_at -> Instant,
            stored_at -> Nullable<Instant>,
        }
    }
}

use schema::files;

/// A file, or an upload that is to become one.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = files, treat_none_as_default_value = false)]
pub struct FileRow {
    /// Which file.
    pub id: DbUuid,
    /// The tenant.
    pub tenant_id: DbUuid,
    /// Who uploads or uploaded it.
    pub owner_id: DbUuid,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its length.
    pub size_bytes: i64,
    /// SHA-256 of its content.
    pub digest: String,
    /// The length of each part of its upload but the last.
    pub part_size_bytes: i64,
    /// [`OPEN`] or [`STORED`].
    pub state: String,
    /// When its upload began.
    pub created_at: DbTimestamp,
    /// When its upload is removed unless it is completed.
    pub expires_at: DbTimestamp,
    /// When its content was whole.
    pub stored_at: Option<DbTimestamp>,
}

impl FileRow {
    /// The length that this part must have, so that all parts together are the content and no more;
    /// none when the content has no such part. Empty content has none at all.
    #[must_use]
    pub fn part_bytes(&self, number: u32) -> Option<u64> {
        let before = i64::from(number.checked_sub(1)?).checked_mul(self.part_size_bytes)?;
        let left = self.size_bytes.checked_sub(before).filter(|left| *left > 0)?;
        u64::try_from(left.min(self.part_size_bytes)).ok()
    }
}

impl TryFrom<FileRow> for File {
    type Error = Failure;

    fn try_from(row: FileRow) -> Result<Self, Failure> {
        let stored_at = row.stored_at.ok_or_else(|| {
            Failure::internal("files.file.stored_at", "a stored file has no time of storage")
        })?;
        Ok(Self {
            id: row.id.to(),
            name: row.name,
            content_type: row.content_type,
            size_bytes: row.size_bytes,
            digest: row.digest,
            owner: row.owner_id.to(),
            stored_at: stored_at.into(),
        })
    }
}

/// Adds an upload.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &FileRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(files::table).values(row).execute(c))?;
    Ok(())
}

/// A file or an upload of a tenant.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, tenant: TenantId, id: FileId) -> DbResult<Option<FileRow>> {
    run!(conn, |c| files::table
        .filter(files::id.eq(DbUuid::of(id)))
        .filter(files::tenant_id.eq(DbUuid::of(tenant)))
        .select(FileRow::as_select())
        .get_result(c))
    .optional()
}

/// Makes a file of an upload; false when it is one or is gone.
///
/// # Errors
/// As the database says.
pub async fn store(
    conn: &mut DbConn,
    tenant: TenantId,
    id: FileId,
    now: Timestamp,
) -> DbResult<bool> {
    let changed: usize = run!(conn, |c| diesel::update(files::table)
        .filter(files::id.eq(DbUuid::of(id)))
        .filter(files::tenant_id.eq(DbUuid::of(tenant)))
        .filter(files::state.eq(OPEN))
        .set((files::state.eq(STORED), files::stored_at.eq(Some(DbTimestamp(now)))))
        .execute(c))?;
    Ok(changed == 1)
}

/// Removes a file or an upload in this state; false when there is none.
///
/// # Errors
/// As the database says.
pub async fn delete(
    conn: &mut DbConn,
    tenant: TenantId,
    id: FileId,
    state: &'static str,
) -> DbResult<bool> {
    let removed: usize = run!(conn, |c| diesel::delete(files::table)
        .filter(files::id.eq(DbUuid::of(id)))
        .filter(files::tenant_id.eq(DbUuid::of(tenant)))
        .filter(files::state.eq(state))
        .execute(c))?;
    Ok(removed == 1)
}

/// A page of files, newest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    after: Option<FileId>,
    rows: i64,
) -> DbResult<Vec<FileRow>> {
    let before = after.map_or(DbUuid(Uuid::max()), DbUuid::of);
    run!(conn, |c| files::table
        .filter(files::tenant_id.eq(DbUuid::of(tenant)))
        .filter(files::state.eq(STORED))
        .filter(files::id.lt(before))
        .order(files::id.desc())
        .limit(rows)
        .select(FileRow::as_select())
        .load(c))
}

/// The length of all files and announced uploads of a tenant together.
///
/// # Errors
/// As the database says.
pub async fn total_bytes(conn: &mut DbConn, tenant: TenantId) -> DbResult<i64> {
    use diesel::dsl::sql;
    use diesel::sql_types::BigInt;
    run!(conn, |c| files::table
        .filter(files::tenant_id.eq(DbUuid::of(tenant)))
        .select(sql::<BigInt>("CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT)"))
        .get_result(c))
}

/// How many uploads of a tenant are open.
///
/// # Errors
/// As the database says.
pub async fn open_count(conn: &mut DbConn, tenant: TenantId) -> DbResult<i64> {
    run!(conn, |c| files::table
        .filter(files::tenant_id.eq(DbUuid::of(tenant)))
        .filter(files::state.eq(OPEN))
        .count()
        .get_result(c))
}

/// Uploads whose time is over, the oldest first.
///
/// # Errors
/// As the database says.
pub async fn expired(conn: &mut DbConn, now: Timestamp, rows: i64) -> DbResult<Vec<FileRow>> {
    run!(conn, |c| files::table
        .filter(files::state.eq(OPEN))
        .filter(files::expires_at.lt(DbTimestamp(now)))
        .order(files::expires_at.asc())
        .limit(rows)
        .select(FileRow::as_select())
        .load(c))
}

/// Which of these files and uploads there are.
///
/// # Errors
/// As the database says.
pub async fn existing(conn: &mut DbConn, ids: &[DbUuid]) -> DbResult<Vec<DbUuid>> {
    run!(conn, |c| files::table.filter(files::id.eq_any(ids)).select(files::id).load(c))
}
