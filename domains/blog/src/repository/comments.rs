//! Comments.

use troupe_database::prelude::*;
use troupe_kernel::{TenantId, Timestamp, UserId};

use super::Viewer;
use crate::content::status::CommentStatus;
use crate::messages::{Comment, CommentFilter, CommentId, PostId, PublicComment};
use crate::schema::{blog_comments, blog_posts};

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = blog_comments, treat_none_as_default_value = false)]
pub struct CommentRow {
    /// Which comment.
    pub id: DbUuid,
    /// The tenant.
    pub tenant_id: DbUuid,
    /// On which post.
    pub post_id: DbUuid,
    /// The member who wrote it.
    pub author_id: Option<DbUuid>,
    /// The name under it.
    pub author_name: String,
    /// The guest's e-mail address.
    pub author_email: Option<String>,
    /// What was written.
    pub body: String,
    /// The same as sanitised HTML.
    pub html: String,
    /// The state's name.
    pub status: String,
    /// A hash of the address it came from.
    pub origin: Option<String>,
    /// Who decided on it.
    pub moderated_by: Option<DbUuid>,
    /// When.
    pub moderated_at: Option<DbTimestamp>,
    /// When it was written.
    pub created_at: DbTimestamp,
}

impl CommentRow {
    /// The state.
    #[must_use]
    pub fn status(&self) -> CommentStatus {
        CommentStatus::parse(&self.status).expect("the table allows the four states only")
    }
}

impl From<CommentRow> for Comment {
    fn from(row: CommentRow) -> Self {
        Self {
            status: row.status(),
            id: row.id.to(),
            post: row.post_id.to(),
            author: row.author_id.map(DbUuid::to),
            name: row.author_name,
            email: row.author_email,
            body: row.body,
            html: row.html,
            moderated_by: row.moderated_by.map(DbUuid::to),
            moderated_at: row.moderated_at.map(Timestamp::from),
            created_at: row.created_at.into(),
        }
    }
}

/// Adds a comment.
///
/// # Errors
/// As the database says.
pub async fn insert(conn: &mut DbConn, row: &CommentRow) -> DbResult<()> {
    run!(conn, |c| diesel::insert_into(blog_comments::table).values(row).execute(c))?;
    Ok(())
}

/// A comment with the author of its post.
///
/// # Errors
/// As the database says.
pub async fn find(
    conn: &mut DbConn,
    tenant: TenantId,
    id: CommentId,
) -> DbResult<Option<(CommentRow, DbUuid)>> {
    run!(conn, |c| blog_comments::table
        .inner_join(blog_posts::table.on(blog_posts::id.eq(blog_comments::post_id)))
        .filter(blog_comments::id.eq(DbUuid::of(id)))
        .filter(blog_comments::tenant_id.eq(DbUuid::of(tenant)))
        .select((CommentRow::as_select(), blog_posts::author_id))
        .get_result(c))
    .optional()
}

/// Records a moderator's decision.
///
/// # Errors
/// As the database says.
pub async fn moderate(
    conn: &mut DbConn,
    id: DbUuid,
    status: CommentStatus,
    moderator: Option<DbUuid>,
    now: Timestamp,
) -> DbResult<()> {
    run!(conn, |c| diesel::update(blog_comments::table)
        .filter(blog_comments::id.eq(id))
        .set((
            blog_comments::status.eq(status.as_str()),
            blog_comments::moderated_by.eq(moderator),
            blog_comments::moderated_at.eq(Some(DbTimestamp(now))),
        ))
        .execute(c))?;
    Ok(())
}

/// Removes a comment; false when it was gone.
///
/// # Errors
/// As the database says.
pub async fn delete(conn: &mut DbConn, tenant: TenantId, id: CommentId) -> DbResult<bool> {
    let removed: usize = run!(conn, |c| diesel::delete(blog_comments::table)
        .filter(blog_comments::id.eq(DbUuid::of(id)))
        .filter(blog_comments::tenant_id.eq(DbUuid::of(tenant)))
        .execute(c))?;
    Ok(removed == 1)
}

/// A page of comments that the viewer may see, newest first: a member sees their own and those on
/// their posts.
///
/// # Errors
/// As the database says.
pub async fn page(
    conn: &mut DbConn,
    tenant: TenantId,
    listed: &Listed,
    after: Option<CommentId>,
    rows: i64,
) -> DbResult<Vec<CommentRow>> {
    run!(conn, |c| {
        let mut query = blog_comments::table
            .inner_join(blog_posts::table.on(blog_posts::id.eq(blog_comments::post_id)))
            .filter(blog_comments::tenant_id.eq(DbUuid::of(tenant)))
            .select(CommentRow::as_select())
            .order(blog_comments::id.desc())
            .limit(rows)
            .into_boxed();
        if let Some(status) = listed.filter.status {
            query = query.filter(blog_comments::status.eq(status.as_str()));
        }
        if let Some(post) = listed.filter.post {
            query = query.filter(blog_comments::post_id.eq(DbUuid::of(post)));
        }
        if let Some(author) = listed.filter.author {
            query = query.filter(blog_comments::author_id.eq(DbUuid::of(author)));
        }
        match listed.viewer {
            Viewer::Manager => {}
            Viewer::Public => query = query.filter(blog_comments::status.eq("approved")),
            Viewer::Member(me) => {
                query = query.filter(
                    blog_comments::author_id
                        .eq(DbUuid(me))
                        .assume_not_null()
                        .or(blog_posts::author_id.eq(DbUuid(me))),
                );
            }
        }
        if let Some(after) = after {
            query = query.filter(blog_comments::id.lt(DbUuid::of(after)));
        }
        query.load(c)
    })
}

/// Which comments a list holds.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Whose comments may be seen.
    pub viewer: Viewer,
    /// What was asked for.
    pub filter: CommentFilter,
}

type Approved = (DbUuid, String, Option<DbUuid>, String, DbTimestamp);

/// A page of approved comments on a post, oldest first.
///
/// # Errors
/// As the database says.
pub async fn approved(
    conn: &mut DbConn,
    post: PostId,
    after: Option<CommentId>,
    rows: i64,
) -> DbResult<Vec<PublicComment>> {
    let after = after.map_or(DbUuid(uuid::Uuid::nil()), DbUuid::of);
    let found: Vec<Approved> = run!(conn, |c| blog_comments::table
        .filter(blog_comments::post_id.eq(DbUuid::of(post)))
        .filter(blog_comments::status.eq("approved"))
        .filter(blog_comments::id.gt(after))
        .order(blog_comments::id.asc())
        .limit(rows)
        .select((
            blog_comments::id,
            blog_comments::author_name,
            blog_comments::author_id,
            blog_comments::html,
            blog_comments::created_at,
        ))
        .load(c))?;
    let comments = found.into_iter().map(|(id, name, author, html, created_at)| PublicComment {
        id: id.to(),
        name,
        member: author.is_some(),
        html,
        created_at: created_at.into(),
    });
    Ok(comments.collect())
}

/// How many comments came from an origin since a time.
///
/// # Errors
/// As the database says.
pub async fn count_from(
    conn: &mut DbConn,
    tenant: TenantId,
    origin: &str,
    since: Timestamp,
) -> DbResult<i64> {
    run!(conn, |c| blog_comments::table
        .filter(blog_comments::tenant_id.eq(DbUuid::of(tenant)))
        .filter(blog_comments::origin.eq(origin))
        .filter(blog_comments::created_at.gt(DbTimestamp(since)))
        .count()
        .get_result(c))
}

/// How many comments on a post wait for a moderator.
///
/// # Errors
/// As the database says.
pub async fn count_pending(conn: &mut DbConn, post: DbUuid) -> DbResult<i64> {
    run!(conn, |c| blog_comments::table
        .filter(blog_comments::post_id.eq(post))
        .filter(blog_comments::status.eq_any(["pending", "spam"]))
        .count()
        .get_result(c))
}

/// Erases the name under a user's comments, in every tenant. Answers how many there were.
///
/// # Errors
/// As the database says.
pub async fn forget(conn: &mut DbConn, user: UserId) -> DbResult<usize> {
    run!(conn, |c| diesel::update(blog_comments::table)
        .filter(blog_comments::author_id.eq(DbUuid::of(user)))
        .set((
            blog_comments::author_name.eq(""),
            blog_comments::author_email.eq(None::<String>),
            blog_comments::origin.eq(None::<String>),
        ))
        .execute(c))
}
