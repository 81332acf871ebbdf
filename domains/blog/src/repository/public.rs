//! What everybody may read: published posts by slug, in lists and in feeds.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use troupe_database::prelude::*;
use troupe_database::{Db, KeyedLoad};
use troupe_kernel::{Failure, TenantId};
use uuid::Uuid;

use super::posts::PostRow;
use crate::schema::{blog_contents, blog_post_tags, blog_posts, blog_slugs};

/// A tenant and a slug in it.
pub type SlugKey = (Uuid, String);

/// A published post as it is found by one of its slugs.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Serialize, Deserialize)]
pub struct PublishedPost {
    /// The tenant.
    pub tenant: DbUuid,
    /// The slug it was found by.
    pub found_by: String,
    /// Which post.
    pub id: DbUuid,
    /// Who wrote it.
    pub author: DbUuid,
    /// Its current slug.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The excerpt.
    pub summary: String,
    /// The tags.
    pub tags: TextList,
    /// Whether readers may comment.
    pub comments_enabled: bool,
    /// When it was published.
    pub published_at: Option<DbTimestamp>,
    /// When it was last changed.
    pub updated_at: DbTimestamp,
    /// Sanitised HTML.
    pub html: String,
}

/// Reads published posts by slug, several at once.
#[derive(Debug, Clone)]
pub struct PublishedBySlug {
    /// The database.
    pub db: Db,
}

impl KeyedLoad for PublishedBySlug {
    type Key = SlugKey;
    type Value = PublishedPost;
    const NAME: &'static str = "blog.published_by_slug";

    async fn load(&self, keys: Vec<SlugKey>) -> Result<HashMap<SlugKey, PublishedPost>, Failure> {
        let rows =
            self.db.read(async move |conn: &mut DbConn| Ok(published(conn, keys).await?)).await?;
        Ok(rows.into_iter().map(|row| ((row.tenant.0, row.found_by.clone()), row)).collect())
    }
}

/// Published posts by their slugs, current or old; one query per tenant.
///
/// # Errors
/// As the database says.
pub async fn published(conn: &mut DbConn, keys: Vec<SlugKey>) -> DbResult<Vec<PublishedPost>> {
    let mut tenants: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for (tenant, slug) in keys {
        tenants.entry(tenant).or_default().push(slug);
    }
    let mut found = Vec::new();
    for (tenant, slugs) in tenants {
        let rows: Vec<PublishedPost> = run!(conn, |c| blog_slugs::table
            .inner_join(blog_posts::table.on(blog_posts::id.eq(blog_slugs::post_id)))
            .inner_join(blog_contents::table.on(blog_contents::post_id.eq(blog_posts::id)))
            .filter(blog_slugs::tenant_id.eq(DbUuid(tenant)))
            .filter(blog_slugs::slug.eq_any(&slugs))
            .filter(blog_posts::status.eq("published"))
            .select((
                blog_slugs::tenant_id,
                blog_slugs::slug,
                blog_posts::id,
                blog_posts::author_id,
                blog_posts::slug,
                blog_posts::title,
                blog_posts::summary,
                blog_posts::tags,
                blog_posts::comments_enabled,
                blog_posts::published_at,
                blog_posts::updated_at,
                blog_contents::html,
            ))
            .load(c))?;
        found.extend(rows);
    }
    Ok(found)
}

/// A published post without content, by its slug, current or old.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, tenant: TenantId, slug: &str) -> DbResult<Option<PostRow>> {
    run!(conn, |c| blog_slugs::table
        .inner_join(blog_posts::table.on(blog_posts::id.eq(blog_slugs::post_id)))
        .filter(blog_slugs::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_slugs::slug.eq(slug))
        .filter(blog_posts::status.eq("published"))
        .select(PostRow::as_select())
        .get_result(c))
    .optional()
}

/// A page of published posts, newest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    tag: Option<&str>,
    after: Option<(DbTimestamp, DbUuid)>,
    rows: i64,
) -> DbResult<Vec<PostRow>> {
    run!(conn, |c| {
        let mut query = blog_posts::table
            .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
            .filter(blog_posts::status.eq("published"))
            .filter(keyset(
                (blog_posts::published_at, blog_posts::id),
                after,
                Direction::Descending,
            ))
            .select(PostRow::as_select())
            .order((blog_posts::published_at.desc(), blog_posts::id.desc()))
            .limit(rows)
            .into_boxed();
        if let Some(tag) = tag {
            query = query.filter(
                blog_posts::id.eq_any(
                    blog_post_tags::table
                        .filter(blog_post_tags::tenant_id.eq(DbUuid::of(tenant)))
                        .filter(blog_post_tags::tag.eq(tag))
                        .select(blog_post_tags::post_id),
                ),
            );
        }
        query.load(c)
    })
}

/// The newest published posts with their HTML, for feeds.
///
/// # Errors
/// As the database says.
pub async fn newest(
    conn: &mut DbConn,
    tenant: TenantId,
    rows: i64,
) -> DbResult<Vec<(PostRow, String)>> {
    run!(conn, |c| blog_posts::table
        .inner_join(blog_contents::table.on(blog_contents::post_id.eq(blog_posts::id)))
        .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_posts::status.eq("published"))
        .order((blog_posts::published_at.desc(), blog_posts::id.desc()))
        .limit(rows)
        .select((PostRow::as_select(), blog_contents::html))
        .load(c))
}
