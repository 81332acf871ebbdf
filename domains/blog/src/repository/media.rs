//! What is known of uploads.

use troupe_database::prelude::*;
use troupe_kernel::{Failure, TenantId};

use crate::content::media_type::MediaType;
use crate::messages::{Media, MediaId};
use crate::schema::blog_media;

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = blog_media, treat_none_as_default_value = false)]
pub struct MediaRow {
    /// Which upload.
    pub id: DbUuid,
    /// The tenant.
    pub tenant_id: DbUuid,
    /// Who uploaded it.
    pub uploader_id: DbUuid,
    /// The file's name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its length.
    pub size_bytes: i64,
    /// SHA-256 of its content.
    pub digest: String,
    /// When.
    pub created_at: DbTimestamp,
}

impl TryFrom<MediaRow> for Media {
    type Error = Failure;

    fn try_from(row: MediaRow) -> Result<Self, Failure> {
        let content_type = MediaType::parse(&row.content_type).ok_or_else(|| {
            Failure::internal("blog.media.stored_type", "a stored upload has an unknown media type")
        })?;
        Ok(Self {
            id: row.id.to(),
            name: row.name,
            content_type,
            size_bytes: row.size_bytes,
            digest: row.digest,
            uploader: row.uploader_id.to(),
            created_at: row.created_at.into(),
        })
    }
}

/// Adds an upload.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &MediaRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(blog_media::table).values(row).execute(c))?;
    Ok(())
}

/// One upload.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, tenant: TenantId, id: MediaId) -> DbResult<Option<MediaRow>> {
    run!(conn, |c| blog_media::table
        .filter(blog_media::id.eq(DbUuid::of(id)))
        .filter(blog_media::tenant_id.eq(DbUuid::of(tenant)))
        .select(MediaRow::as_select())
        .get_result(c))
    .optional()
}

/// Removes an upload; false when it was gone.
///
/// # Errors
/// As the database says.
pub async fn delete(conn: &mut DbConn, tenant: TenantId, id: MediaId) -> DbResult<bool> {
    let removed: usize = run!(conn, |c| diesel::delete(blog_media::table)
        .filter(blog_media::id.eq(DbUuid::of(id)))
        .filter(blog_media::tenant_id.eq(DbUuid::of(tenant)))
        .execute(c))?;
    Ok(removed == 1)
}

/// A page of uploads, newest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    after: Option<MediaId>,
    rows: i64,
) -> DbResult<Vec<MediaRow>> {
    let before = after.map_or(DbUuid(uuid::Uuid::max()), DbUuid::of);
    run!(conn, |c| blog_media::table
        .filter(blog_media::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_media::id.lt(before))
        .order(blog_media::id.desc())
        .limit(rows)
        .select(MediaRow::as_select())
        .load(c))
}

/// The length of all uploads of a tenant together.
///
/// # Errors
/// As the database says.
pub async fn total_bytes(conn: &mut DbConn, tenant: TenantId) -> DbResult<i64> {
    use diesel::dsl::sql;
    use diesel::sql_types::BigInt;
    run!(conn, |c| blog_media::table
        .filter(blog_media::tenant_id.eq(DbUuid::of(tenant)))
        .select(sql::<BigInt>("CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT)"))
        .get_result(c))
}

/// Which of these uploads there are.
///
/// # Errors
/// As the database says.
pub async fn existing(conn: &mut DbConn, ids: &[DbUuid]) -> DbResult<Vec<DbUuid>> {
    run!(conn, |c| blog_media::table
        .filter(blog_media::id.eq_any(ids))
        .select(blog_media::id)
        .load(c))
}
