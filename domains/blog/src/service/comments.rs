//! The actor of comments.
//!
//! Mailbox: 512; `blog.comments.workers` workers; permanent. A crash loses the message at hand.

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};
use troupe_actors::{Context, Handled, Lent, Scope, Service};
use troupe_database::{DbConn, DbTimestamp, DbUuid, UnitOfWork};
use troupe_identity_messages::ListUserNames;
use troupe_kernel::{AuditRecord, Failure, Page, TenantId, Timestamp, UserId};

use super::{Blog, access, caching, posts, public};
use crate::config::CommentConfig;
use crate::content::document::hex;
use crate::content::limits::{
    COMMENT_CHARACTERS_MAX, COMMENT_NAME_CHARACTERS_MAX, EMAIL_BYTES_MAX,
};
use crate::content::markdown;
use crate::content::status::CommentStatus;
use crate::error::BlogError;
use crate::events::{self, CommentEvent};
use crate::messages::{
    Comment, CommentId, CommentMessage, CommentReceipt, CreateComment, DeleteComment,
    ForgetCommenter, ListComments, ModerateComment, PostId, SubmitComment,
};
use crate::permissions::{COMMENT_DELETE, COMMENT_MODERATE};
use crate::repository::comments::{self, CommentRow, Listed};

/// Answers commands and queries on comments.
pub struct Comments {
    blog: Arc<Blog>,
}

impl Comments {
    /// One worker.
    #[must_use]
    pub fn new(blog: Arc<Blog>) -> Self {
        Self { blog }
    }
}

impl Service for Comments {
    type Message = CommentMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<CommentMessage>,
        ctx: &mut Context<CommentMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        let blog = &self.blog;
        match &**message {
            CommentMessage::SubmitComment(command) => {
                let receipt = submit(blog, &scope, command).await?;
                ctx.reply(command, receipt)
            }
            CommentMessage::CreateComment(command) => {
                let comment = create(blog, &scope, command).await?;
                ctx.reply(command, comment)
            }
            CommentMessage::ListComments(query) => {
                let page = list(blog, &scope, query).await?;
                ctx.reply(query, page)
            }
            CommentMessage::ModerateComment(command) => {
                let comment = moderate(blog, &scope, command).await?;
                ctx.reply(command, comment)
            }
            CommentMessage::DeleteComment(command) => {
                delete(blog, &scope, command).await?;
                ctx.reply(command, ())
            }
            CommentMessage::ForgetCommenter(command) => {
                forget(blog, &scope, command).await?;
                ctx.reply(command, ())
            }
        }
    }
}

/// A comment that was checked and rendered.
struct Written {
    tenant: TenantId,
    post: PostId,
    author: Option<UserId>,
    name: String,
    email: Option<String>,
    body: String,
    html: String,
    status: CommentStatus,
    origin: Option<String>,
}

async fn submit(
    blog: &Blog,
    scope: &Scope,
    command: &SubmitComment,
) -> Result<CommentReceipt, Failure> {
    let publisher = public::publisher(blog, scope, &command.organisation).await?;
    let tenant = publisher.tenant;
    let slug = command.slug.clone();
    let post = blog
        .db
        .read(async move |conn: &mut DbConn| {
            Ok(crate::repository::public::find(conn, tenant, &slug).await?)
        })
        .await?
        .ok_or(BlogError::PostNotFound)?;
    if !post.comments_enabled {
        return Err(BlogError::CommentsClosed.into());
    }
    let (body, html) = text(&command.comment.body)?;
    let config = &blog.config.comments;
    let spam = markdown::count_links(&body) > config.links_max as usize;
    let written = Written {
        tenant,
        post: post.id.to(),
        author: None,
        name: name(&command.comment.name)?,
        email: email(command.comment.email.as_deref())?,
        body,
        html,
        status: if spam { CommentStatus::Spam } else { CommentStatus::Pending },
        origin: Some(origin(tenant, &command.address)),
    };
    let comment = keep(blog, scope, written).await?;
    // A sender of spam learns nothing from the answer.
    Ok(CommentReceipt { id: comment.id, status: CommentStatus::Pending })
}

async fn create(blog: &Blog, scope: &Scope, command: &CreateComment) -> Result<Comment, Failure> {
    let tenant = access::tenant(scope)?;
    let me = UserId(access::principal(scope)?.subject);
    let post = posts::readable(blog, scope, command.post).await?;
    if !post.comments_enabled || !post.is_published() {
        return Err(BlogError::CommentsClosed.into());
    }
    let (body, html) = text(&command.comment.body)?;
    let names = blog.identity.ask(scope, ListUserNames { ids: vec![me] }).await?;
    let status = if blog.config.comments.members_approved {
        CommentStatus::Approved
    } else {
        CommentStatus::Pending
    };
    let written = Written {
        tenant,
        post: command.post,
        author: Some(me),
        name: names.into_iter().next().map(|user| user.display_name).unwrap_or_default(),
        email: None,
        body,
        html,
        status,
        origin: None,
    };
    let comment = keep(blog, scope, written).await?;
    if status == CommentStatus::Approved {
        caching::forget_comments(blog, tenant, command.post).await;
    }
    Ok(comment)
}

/// Writes a comment within the limits of its origin and its post.
async fn keep(blog: &Blog, scope: &Scope, written: Written) -> Result<Comment, Failure> {
    let limits = blog.config.comments.clone();
    blog.db
        .command(scope, async move |uow: &mut UnitOfWork| {
            check_limits(uow, &limits, &written).await?;
            let row = CommentRow {
                id: uow.new_id::<DbUuid>(),
                tenant_id: DbUuid::of(written.tenant),
                post_id: DbUuid::of(written.post),
                author_id: written.author.map(DbUuid::of),
                author_name: written.name,
                author_email: written.email,
                body: written.body,
                html: written.html,
                status: written.status.as_str().to_owned(),
                origin: written.origin,
                moderated_by: None,
                moderated_at: None,
                created_at: DbTimestamp(uow.now()),
            };
            comments::insert(uow.conn(), &row).await?;
            record(uow, events::COMMENT_SUBMITTED, "blog.comment.submit", &row);
            Ok(Comment::from(row))
        })
        .await
}

async fn check_limits(
    uow: &mut UnitOfWork,
    limits: &CommentConfig,
    written: &Written,
) -> Result<(), Failure> {
    if let Some(origin) = &written.origin {
        let since = uow.now().minus(limits.window);
        let count = comments::count_from(uow.conn(), written.tenant, origin, since).await?;
        if count >= i64::from(limits.per_address_max) {
            return Err(BlogError::CommentRate(limits.window).into());
        }
    }
    if written.status != CommentStatus::Approved {
        let waiting = comments::count_pending(uow.conn(), DbUuid::of(written.post)).await?;
        if waiting >= i64::from(limits.pending_max) {
            return Err(BlogError::CommentBacklog.into());
        }
    }
    Ok(())
}

async fn list(blog: &Blog, scope: &Scope, query: &ListComments) -> Result<Page<Comment>, Failure> {
    let tenant = access::tenant(scope)?;
    let viewer = access::viewer_of_comments(blog, scope, tenant).await?;
    let after: Option<CommentId> = query.page.position()?;
    let listed = Listed { viewer, filter: query.filter.clone() };
    let rows = query.page.rows();
    let found = blog
        .db
        .read_for(scope, async move |conn: &mut DbConn| {
            Ok(comments::page(conn, tenant, &listed, after, rows).await?)
        })
        .await?;
    Ok(Page::from_rows(found, &query.page, |row| row.id).map(Comment::from))
}

async fn moderate(
    blog: &Blog,
    scope: &Scope,
    command: &ModerateComment,
) -> Result<Comment, Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, COMMENT_MODERATE, command.id).await?;
    let (id, status) = (command.id, command.moderation.status);
    let moderator = super::editor(scope).map(DbUuid);
    let comment: Comment = blog
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let found = comments::find(uow.conn(), tenant, id).await?;
            let (mut row, _) = found.ok_or(BlogError::CommentNotFound)?;
            if row.status() != status {
                let now: Timestamp = uow.now();
                comments::moderate(uow.conn(), row.id, status, moderator, now).await?;
                row.status = status.as_str().to_owned();
                row.moderated_by = moderator;
                row.moderated_at = Some(DbTimestamp(now));
                record(uow, events::moderated(status), "blog.comment.moderate", &row);
            }
            Ok(Comment::from(row))
        })
        .await?;
    caching::forget_comments(blog, tenant, comment.post).await;
    Ok(comment)
}

async fn delete(blog: &Blog, scope: &Scope, command: &DeleteComment) -> Result<(), Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, COMMENT_DELETE, command.id).await?;
    let id = command.id;
    let post: PostId = blog
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let found = comments::find(uow.conn(), tenant, id).await?;
            let (row, _) = found.ok_or(BlogError::CommentNotFound)?;
            comments::delete(uow.conn(), tenant, id).await?;
            record(uow, events::COMMENT_DELETED, "blog.comment.delete", &row);
            Ok(row.post_id.to())
        })
        .await?;
    caching::forget_comments(blog, tenant, post).await;
    Ok(())
}

async fn forget(blog: &Blog, scope: &Scope, command: &ForgetCommenter) -> Result<(), Failure> {
    let user = command.user;
    let erased = blog
        .db
        .transaction(scope, async move |uow: &mut UnitOfWork| {
            Ok(comments::forget(uow.conn(), user).await?)
        })
        .await?;
    tracing::info!(%user, erased, "the name of a deleted account was erased from comments");
    Ok(())
}

/// Refuses a command on a comment that the caller may not do; a missing comment passes, as a missing
/// post does.
async fn permit(blog: &Blog, scope: &Scope, action: &str, id: CommentId) -> Result<(), Failure> {
    let tenant = access::tenant(scope)?;
    let found = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(comments::find(conn, tenant, id).await?))
        .await?;
    match found {
        Some((row, post_author)) => {
            let resource = access::of_comment(&row, post_author.into());
            access::require(blog, scope, action, resource).await
        }
        None => Ok(()),
    }
}

fn record(uow: &mut UnitOfWork, kind: &str, action: &str, row: &CommentRow) {
    let tenant = row.tenant_id.to();
    let data = CommentEvent { comment: row.id.to(), post: row.post_id.to(), status: row.status() };
    uow.event(events::comment(kind, tenant, &data));
    let record = AuditRecord::new(uow.scope(), action, format!("blog.comment:{}", row.id.0))
        .tenant(tenant)
        .detail(json!({ "post": row.post_id, "status": row.status }));
    uow.audit(record);
}

fn text(body: &str) -> Result<(String, String), BlogError> {
    if body.len() > COMMENT_CHARACTERS_MAX * 4 {
        return Err(BlogError::CommentLength);
    }
    let body = markdown::normalise(body)?;
    if body.is_empty() || body.chars().count() > COMMENT_CHARACTERS_MAX {
        return Err(BlogError::CommentLength);
    }
    let html = markdown::render_comment(&body).map_err(|_| BlogError::CommentNesting)?;
    Ok((body, html))
}

fn name(given: &str) -> Result<String, BlogError> {
    let name = given.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = (1..=COMMENT_NAME_CHARACTERS_MAX).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) { Ok(name) } else { Err(BlogError::CommentName) }
}

fn email(given: Option<&str>) -> Result<Option<String>, BlogError> {
    let Some(given) = given.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let plausible = given.len() <= EMAIL_BYTES_MAX
        && given.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.contains('@')
        })
        && !given.chars().any(|c| c.is_whitespace() || c.is_control());
    if plausible { Ok(Some(given.to_owned())) } else { Err(BlogError::CommentEmail) }
}

/// A hash that tells addresses apart within a tenant and does not keep them.
fn origin(tenant: TenantId, address: &str) -> String {
    let digest =
        Sha256::new().chain_update(tenant.uuid()).chain_update(address.as_bytes()).finalize();
    hex(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_rendered() {
        assert_eq!(text(" *hi* ").map(|(_, html)| html), Ok("<p><em>hi</em></p>\n".to_owned()));
        assert_eq!(text(" \n"), Err(BlogError::CommentLength));
        assert_eq!(text(&"x".repeat(5_001)), Err(BlogError::CommentLength));
        assert_eq!(text(&">".repeat(500)), Err(BlogError::CommentNesting));
    }

    #[test]
    fn names_and_addresses_are_checked() {
        assert_eq!(name(" Ada \n L. "), Ok("Ada L.".to_owned()));
        assert_eq!(name(" "), Err(BlogError::CommentName));
        assert_eq!(name(&"x".repeat(81)), Err(BlogError::CommentName));
        assert_eq!(email(Some("a@b.example")), Ok(Some("a@b.example".to_owned())));
        assert_eq!(email(Some(" ")), Ok(None));
        for wrong in ["a", "a@b", "@b.c", "a@b@c.d", "a b@c.d"] {
            assert_eq!(email(Some(wrong)), Err(BlogError::CommentEmail), "{wrong}");
        }
    }

    #[test]
    fn an_origin_differs_by_tenant_and_does_not_show_the_address() {
        let (a, b) = (TenantId(uuid::Uuid::from_u128(1)), TenantId(uuid::Uuid::from_u128(2)));
        assert_ne!(origin(a, "192.0.2.1"), origin(b, "192.0.2.1"));
        assert_eq!(origin(a, "192.0.2.1").len(), 32);
    }
}
