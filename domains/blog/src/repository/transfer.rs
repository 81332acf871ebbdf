//! What an export reads.

use troupe_database::prelude::*;
use troupe_kernel::TenantId;

use super::posts::{ContentRow, PostRow};
use crate::messages::PostId;
use crate::schema::{blog_contents, blog_posts};

/// The ids and body lengths of a page of posts, oldest first.
///
/// # Errors
/// As the database says.
pub async fn sizes(
    conn: &mut DbConn,
    tenant: TenantId,
    after: Option<PostId>,
    rows: i64,
) -> DbResult<Vec<(DbUuid, i64)>> {
    let after = after.map_or(DbUuid(uuid::Uuid::nil()), DbUuid::of);
    run!(conn, |c| blog_posts::table
        .inner_join(blog_contents::table.on(blog_contents::post_id.eq(blog_posts::id)))
        .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_posts::id.gt(after))
        .order(blog_posts::id.asc())
        .limit(rows)
        .select((blog_posts::id, blog_contents::size_bytes))
        .load(c))
}

/// Posts with their content, in order of ids.
///
/// # Errors
/// As the database says.
pub async fn posts(conn: &mut DbConn, ids: &[DbUuid]) -> DbResult<Vec<(PostRow, ContentRow)>> {
    run!(conn, |c| blog_posts::table
        .inner_join(blog_contents::table.on(blog_contents::post_id.eq(blog_posts::id)))
        .filter(blog_posts::id.eq_any(ids))
        .order(blog_posts::id.asc())
        .select((PostRow::as_select(), ContentRow::as_select()))
        .load(c))
}
