//! Revisions: one row per save.

use troupe_database::prelude::*;
use troupe_kernel::TenantId;

use crate::messages::{PostId, Revision, RevisionContent};
use crate::schema::blog_revisions;

/// A save.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = blog_revisions, treat_none_as_default_value = false)]
pub struct RevisionRow {
    /// Of which post.
    pub post_id: DbUuid,
    /// The version that it made.
    pub version: i64,
    /// The tenant.
    pub tenant_id: DbUuid,
    /// Who saved.
    pub editor_id: Option<DbUuid>,
    /// The title then.
    pub title: String,
    /// The slug then.
    pub slug: String,
    /// Markdown then.
    pub body: String,
    /// The author's excerpt then.
    pub excerpt: Option<String>,
    /// The tags then.
    pub tags: TextList,
    /// When.
    pub created_at: DbTimestamp,
}

impl From<RevisionRow> for RevisionContent {
    fn from(row: RevisionRow) -> Self {
        Self {
            revision: Revision {
                version: row.version,
                title: row.title,
                slug: row.slug,
                editor: row.editor_id.map(DbUuid::to),
                created_at: row.created_at.into(),
            },
            body: row.body,
            excerpt: row.excerpt,
            tags: row.tags.0,
        }
    }
}

/// Adds a save.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &RevisionRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(blog_revisions::table).values(row).execute(c))?;
    Ok(())
}

/// Forgets all but the newest `keep` saves of a post.
///
/// # Errors
/// As the database says.
pub async fn prune(conn: &mut DbConn, post: DbUuid, keep: u32) -> DbResult<()> {
    let oldest_lost: Option<i64> = run!(conn, |c| blog_revisions::table
        .filter(blog_revisions::post_id.eq(post))
        .order(blog_revisions::version.desc())
        .offset(i64::from(keep))
        .limit(1)
        .select(blog_revisions::version)
        .get_result(c))
    .optional()?;
    if let Some(version) = oldest_lost {
        run!(conn, |c| diesel::delete(blog_revisions::table)
            .filter(blog_revisions::post_id.eq(post))
            .filter(blog_revisions::version.le(version))
            .execute(c))?;
    }
    Ok(())
}

/// One save.
///
/// # Errors
/// As the database says.
pub async fn find(
    conn: &mut DbConn,
    tenant: TenantId,
    post: PostId,
    version: i64,
) -> DbResult<Option<RevisionRow>> {
    run!(conn, |c| blog_revisions::table
        .filter(blog_revisions::post_id.eq(DbUuid::of(post)))
        .filter(blog_revisions::version.eq(version))
        .filter(blog_revisions::tenant_id.eq(DbUuid::of(tenant)))
        .select(RevisionRow::as_select())
        .get_result(c))
    .optional()
}

type Header = (i64, String, String, Option<DbUuid>, DbTimestamp);

/// A page of saves, newest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    post: PostId,
    after: Option<i64>,
    rows: i64,
) -> DbResult<Vec<Revision>> {
    let found: Vec<Header> = run!(conn, |c| blog_revisions::table
        .filter(blog_revisions::post_id.eq(DbUuid::of(post)))
        .filter(blog_revisions::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_revisions::version.lt(after.unwrap_or(i64::MAX)))
        .order(blog_revisions::version.desc())
        .limit(rows)
        .select((
            blog_revisions::version,
            blog_revisions::title,
            blog_revisions::slug,
            blog_revisions::editor_id,
            blog_revisions::created_at,
        ))
        .load(c))?;
    let revisions = found.into_iter().map(|(version, title, slug, editor, created_at)| Revision {
        version,
        title,
        slug,
        editor: editor.map(DbUuid::to),
        created_at: created_at.into(),
    });
    Ok(revisions.collect())
}
