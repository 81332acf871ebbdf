//! Posts and their content.

use troupe_database::prelude::*;
use troupe_kernel::{TenantId, Timestamp};

use super::Viewer;
use crate::content::status::PostStatus;
use crate::messages::{Post, PostContent, PostFilter, PostId};
use crate::schema::{blog_contents, blog_post_tags, blog_posts};

/// A post without content.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = blog_posts, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct PostRow {
    /// Which post.
    pub id: DbUuid,
    /// The tenant.
    pub tenant_id: DbUuid,
    /// Who wrote it.
    pub author_id: DbUuid,
    /// The current slug.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The excerpt that is shown.
    pub summary: String,
    /// The tags.
    pub tags: TextList,
    /// The state's name.
    pub status: String,
    /// Whether readers may comment.
    pub comments_enabled: bool,
    /// Rises with every change.
    pub version: i64,
    /// The path of the document it came from.
    pub source_path: Option<String>,
    /// SHA-256 of that document.
    pub source_digest: Option<String>,
    /// When it was last published.
    pub published_at: Option<DbTimestamp>,
    /// When it will be published; some exactly when it is scheduled.
    pub publish_at: Option<DbTimestamp>,
    /// When it was created.
    pub created_at: DbTimestamp,
    /// When it was last changed.
    pub updated_at: DbTimestamp,
}

impl PostRow {
    /// The state.
    #[must_use]
    pub fn status(&self) -> PostStatus {
        PostStatus::parse(&self.status).expect("the table allows the three states only")
    }

    /// Whether readers see it.
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.status() == PostStatus::Published
    }

    /// The post as the API shows it.
    #[must_use]
    pub fn to_post(&self, content: Option<PostContent>) -> Post {
        Post {
            id: self.id.to(),
            author: self.author_id.to(),
            slug: self.slug.clone(),
            title: self.title.clone(),
            summary: self.summary.clone(),
            tags: self.tags.0.clone(),
            status: self.status(),
            comments_enabled: self.comments_enabled,
            version: self.version,
            source_path: self.source_path.clone(),
            published_at: self.published_at.map(Timestamp::from),
            publish_at: self.publish_at.map(Timestamp::from),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            content,
        }
    }
}

/// The content of a post with what is derived from it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = blog_contents, primary_key(post_id))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct ContentRow {
    /// Of which post.
    pub post_id: DbUuid,
    /// The tenant.
    pub tenant_id: DbUuid,
    /// The title once more, for search.
    pub title: String,
    /// The tags as one text, for search.
    pub keywords: String,
    /// Markdown.
    pub body: String,
    /// Sanitised HTML.
    pub html: String,
    /// The text without markup.
    pub plain: String,
    /// The author's excerpt.
    pub excerpt: Option<String>,
    /// Length of the body.
    pub size_bytes: i64,
}

impl ContentRow {
    /// The content as the API shows it.
    #[must_use]
    pub fn into_content(self) -> PostContent {
        PostContent { body: self.body, html: self.html, excerpt: self.excerpt }
    }
}

/// Adds a post.
///
/// # Errors
/// As the database says; `blog_posts_source_key` when another post has the source path.
pub async fn insert(conn: &mut DbConn, row: &PostRow, content: &ContentRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(blog_posts::table).values(row).execute(c))?;
    run!(conn, |c| diesel::insert_into(blog_contents::table).values(content).execute(c))?;
    Ok(())
}

/// A post without content.
///
/// # Errors
/// As the database says.
pub async fn find(conn: &mut DbConn, tenant: TenantId, id: PostId) -> DbResult<Option<PostRow>> {
    run!(conn, |c| blog_posts::table
        .filter(blog_posts::id.eq(DbUuid::of(id)))
        .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
        .select(PostRow::as_select())
        .get_result(c))
    .optional()
}

/// A post for change: on PostgreSQL it is locked until the transaction ends.
///
/// # Errors
/// As the database says.
pub async fn lock(conn: &mut DbConn, tenant: TenantId, id: PostId) -> DbResult<Option<PostRow>> {
    run!(
        conn,
        pg | c
            | blog_posts::table
                .filter(blog_posts::id.eq(DbUuid::of(id)))
                .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
                .select(PostRow::as_select())
                .for_update()
                .get_result(c),
        sqlite
            | c
            | blog_posts::table
                .filter(blog_posts::id.eq(DbUuid::of(id)))
                .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
                .select(PostRow::as_select())
                .get_result(c),
    )
    .optional()
}

/// The content of a post that was found before.
///
/// # Errors
/// As the database says.
pub async fn content(conn: &mut DbConn, post: DbUuid) -> DbResult<ContentRow> {
    run!(conn, |c| blog_contents::table
        .filter(blog_contents::post_id.eq(post))
        .select(ContentRow::as_select())
        .get_result(c))
}

/// The post that was imported from a path.
///
/// # Errors
/// As the database says.
pub async fn find_by_source(
    conn: &mut DbConn,
    tenant: TenantId,
    path: &str,
) -> DbResult<Option<PostRow>> {
    run!(conn, |c| blog_posts::table
        .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_posts::source_path.eq(path))
        .select(PostRow::as_select())
        .get_result(c))
    .optional()
}

/// Writes a changed post over the version before; false when that is not the current one.
///
/// # Errors
/// As the database says; `blog_posts_source_key` when another post has the source path.
pub async fn update(conn: &mut DbConn, row: &PostRow, version_before: i64) -> DbResult<bool> {
    let changed: usize = run!(conn, |c| diesel::update(blog_posts::table)
        .filter(blog_posts::id.eq(row.id))
        .filter(blog_posts::version.eq(version_before))
        .set(row)
        .execute(c))?;
    Ok(changed == 1)
}

/// Writes a changed content.
///
/// # Errors
/// As the database says.
pub async fn update_content(conn: &mut DbConn, row: &ContentRow) -> DbResult<()> {
    run!(conn, |c| diesel::update(blog_contents::table)
        .filter(blog_contents::post_id.eq(row.post_id))
        .set(row)
        .execute(c))?;
    Ok(())
}

/// Removes a post; its content, slugs, tags, revisions and comments go with it.
///
/// # Errors
/// As the database says.
pub async fn delete(conn: &mut DbConn, post: DbUuid) -> DbResult<()> {
    run!(conn, |c| diesel::delete(blog_posts::table).filter(blog_posts::id.eq(post)).execute(c))?;
    Ok(())
}

/// A page of posts, newest first.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    listed: &Listed,
    after: Option<PostId>,
    rows: i64,
) -> DbResult<Vec<PostRow>> {
    run!(conn, |c| {
        let mut query = blog_posts::table
            .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
            .select(PostRow::as_select())
            .order(blog_posts::id.desc())
            .limit(rows)
            .into_boxed();
        if let Some(status) = listed.filter.status {
            query = query.filter(blog_posts::status.eq(status.as_str()));
        }
        if let Some(author) = listed.filter.author {
            query = query.filter(blog_posts::author_id.eq(DbUuid::of(author)));
        }
        if let Some(tag) = &listed.filter.tag {
            query = query.filter(
                blog_posts::id.eq_any(
                    blog_post_tags::table
                        .filter(blog_post_tags::tenant_id.eq(DbUuid::of(tenant)))
                        .filter(blog_post_tags::tag.eq(tag))
                        .select(blog_post_tags::post_id),
                ),
            );
        }
        match listed.viewer {
            Viewer::Manager => {}
            Viewer::Public => query = query.filter(blog_posts::status.eq("published")),
            Viewer::Member(me) => {
                query = query.filter(
                    blog_posts::status.eq("published").or(blog_posts::author_id.eq(DbUuid(me))),
                );
            }
        }
        if let Some(after) = after {
            query = query.filter(blog_posts::id.lt(DbUuid::of(after)));
        }
        query.load(c)
    })
}

/// Which posts a list holds.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Whose posts may be seen.
    pub viewer: Viewer,
    /// What was asked for; the tag in its normal form.
    pub filter: PostFilter,
}

/// The slugs and times of published posts with their last change, newest first, for the sitemap.
///
/// # Errors
/// As the database says.
pub async fn addresses(
    conn: &mut DbConn,
    tenant: TenantId,
    rows: i64,
) -> DbResult<Vec<(String, DbTimestamp)>> {
    run!(conn, |c| blog_posts::table
        .filter(blog_posts::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_posts::status.eq("published"))
        .order((blog_posts::published_at.desc(), blog_posts::id.desc()))
        .limit(rows)
        .select((blog_posts::slug, blog_posts::updated_at))
        .load(c))
}
