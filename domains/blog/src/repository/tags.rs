//! The tags of posts, for filters and counts.

use troupe_database::prelude::*;
use troupe_kernel::TenantId;

use super::Viewer;
use crate::messages::TagCount;
use crate::schema::{blog_post_tags, blog_posts};

/// Replaces the tags of a post.
///
/// # Errors
/// As the database says.
pub async fn set(conn: &mut DbConn, tenant: DbUuid, post: DbUuid, tags: &[String]) -> DbResult<()> {
    run!(conn, |c| diesel::delete(blog_post_tags::table)
        .filter(blog_post_tags::post_id.eq(post))
        .execute(c))?;
    for tag in tags {
        let row = (
            blog_post_tags::post_id.eq(post),
            blog_post_tags::tag.eq(tag),
            blog_post_tags::tenant_id.eq(tenant),
        );
        run!(conn, |c| diesel::insert_into(blog_post_tags::table).values(row).execute(c))?;
    }
    Ok(())
}

/// A page of tags in their order, with the number of posts that the viewer may see.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    viewer: Viewer,
    after: Option<String>,
    rows: i64,
) -> DbResult<Vec<TagCount>> {
    let found: Vec<(String, i64)> = run!(conn, |c| {
        let mut query = blog_post_tags::table
            .inner_join(blog_posts::table.on(blog_posts::id.eq(blog_post_tags::post_id)))
            .filter(blog_post_tags::tenant_id.eq(DbUuid::of(tenant)))
            .group_by(blog_post_tags::tag)
            .select((blog_post_tags::tag, diesel::dsl::count(blog_post_tags::post_id)))
            .order(blog_post_tags::tag.asc())
            .limit(rows)
            .into_boxed();
        match viewer {
            Viewer::Manager => {}
            Viewer::Public => query = query.filter(blog_posts::status.eq("published")),
            Viewer::Member(me) => {
                query = query.filter(
                    blog_posts::status.eq("published").or(blog_posts::author_id.eq(DbUuid(me))),
                );
            }
        }
        if let Some(after) = &after {
            query = query.filter(blog_post_tags::tag.gt(after));
        }
        query.load(c)
    })?;
    Ok(found.into_iter().map(|(tag, posts)| TagCount { tag, posts }).collect())
}
