//! Slugs: who has or had which.

use troupe_database::prelude::*;
use troupe_kernel::{TenantId, Timestamp};

use crate::messages::PostId;
use crate::schema::blog_slugs;

#[derive(Insertable)]
#[diesel(table_name = blog_slugs, treat_none_as_default_value = false)]
struct SlugRow<'row> {
    tenant_id: DbUuid,
    slug: &'row str,
    post_id: DbUuid,
    created_at: DbTimestamp,
}

/// Gives a slug to a post; true when the post has it now, also when it had it before.
///
/// # Errors
/// As the database says.
pub async fn claim(
    conn: &mut DbConn,
    tenant: TenantId,
    slug: &str,
    post: PostId,
    now: Timestamp,
) -> DbResult<bool> {
    let row = SlugRow {
        tenant_id: DbUuid::of(tenant),
        slug,
        post_id: DbUuid::of(post),
        created_at: now.into(),
    };
    let written: usize = run!(conn, |c| diesel::insert_into(blog_slugs::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(c))?;
    if written == 1 {
        return Ok(true);
    }
    Ok(owner(conn, tenant, slug).await? == Some(post))
}

/// The post that has or had a slug.
///
/// # Errors
/// As the database says.
pub async fn owner(conn: &mut DbConn, tenant: TenantId, slug: &str) -> DbResult<Option<PostId>> {
    let found: Option<DbUuid> = run!(conn, |c| blog_slugs::table
        .filter(blog_slugs::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_slugs::slug.eq(slug))
        .select(blog_slugs::post_id)
        .get_result(c))
    .optional()?;
    Ok(found.map(DbUuid::to))
}

/// Every slug of some posts with its post, oldest first.
///
/// # Errors
/// As the database says.
pub async fn of_posts(conn: &mut DbConn, posts: &[DbUuid]) -> DbResult<Vec<(DbUuid, String)>> {
    run!(conn, |c| blog_slugs::table
        .filter(blog_slugs::post_id.eq_any(posts))
        .order((blog_slugs::created_at.asc(), blog_slugs::slug.asc()))
        .select((blog_slugs::post_id, blog_slugs::slug))
        .load(c))
}

/// Forgets a slug.
///
/// # Errors
/// As the database says.
pub async fn remove(conn: &mut DbConn, tenant: DbUuid, slug: &str) -> DbResult<()> {
    run!(conn, |c| diesel::delete(blog_slugs::table)
        .filter(blog_slugs::tenant_id.eq(tenant))
        .filter(blog_slugs::slug.eq(slug))
        .execute(c))?;
    Ok(())
}
