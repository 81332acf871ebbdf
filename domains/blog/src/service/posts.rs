//! The actor of posts.
//!
//! Mailbox: 1024; `blog.post_workers` workers; permanent. A crash loses the message at hand.

use std::sync::Arc;

use serde_json::json;
use troupe_actors::{Context, Handled, Lent, Scope, Service};
use troupe_database::{DbConn, UnitOfWork};
use troupe_kernel::{AuditRecord, Failure, Page, PageRequest};

use super::edit::Edit;
use super::save::{self, Bounds};
use super::{Blog, access, caching, lifecycle, revisions};
use crate::content::limits::SEARCH_OFFSET_MAX;
use crate::content::{query, tags};
use crate::error::BlogError;
use crate::events;
use crate::messages::{
    CreatePost, DeletePost, GetPost, ListPosts, ListTags, Post, PostId, PostMessage, SearchHit,
    SearchPosts, TagCount, UpdatePost,
};
use crate::permissions::{POST_DELETE, POST_READ, POST_UPDATE};
use crate::repository::Viewer;
use crate::repository::posts::{self, Listed, PostRow};
use crate::repository::search::{self, Search};

/// Answers commands and queries on posts.
pub struct Posts {
    blog: Arc<Blog>,
}

impl Posts {
    /// One worker.
    #[must_use]
    pub fn new(blog: Arc<Blog>) -> Self {
        Self { blog }
    }
}

impl Service for Posts {
    type Message = PostMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<PostMessage>,
        ctx: &mut Context<PostMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        let blog = &self.blog;
        match &**message {
            PostMessage::CreatePost(command) => {
                let post = create(blog, &scope, command).await?;
                ctx.reply(command, post)
            }
            PostMessage::GetPost(query) => {
                let post = get(blog, &scope, query).await?;
                ctx.reply(query, post)
            }
            PostMessage::ListPosts(query) => {
                let page = list(blog, &scope, query).await?;
                ctx.reply(query, page)
            }
            PostMessage::UpdatePost(command) => {
                let post = update(blog, &scope, command).await?;
                ctx.reply(command, post)
            }
            PostMessage::DeletePost(command) => {
                delete(blog, &scope, command).await?;
                ctx.reply(command, ())
            }
            PostMessage::PublishPost(command) => {
                let post = lifecycle::publish(blog, &scope, command).await?;
                ctx.reply(command, post)
            }
            PostMessage::UnpublishPost(command) => {
                let post = lifecycle::unpublish(blog, &scope, command).await?;
                ctx.reply(command, post)
            }
            PostMessage::SchedulePost(command) => {
                let post = lifecycle::schedule(blog, &scope, command).await?;
                ctx.reply(command, post)
            }
            PostMessage::UnschedulePost(command) => {
                let post = lifecycle::unschedule(blog, &scope, command).await?;
                ctx.reply(command, post)
            }
            PostMessage::PublishDue(command) => {
                lifecycle::publish_due(blog, &scope, command).await?;
                ctx.reply(command, ())
            }
            PostMessage::ListRevisions(query) => {
                let page = revisions::list(blog, &scope, query).await?;
                ctx.reply(query, page)
            }
            PostMessage::GetRevision(query) => {
                let revision = revisions::get(blog, &scope, query).await?;
                ctx.reply(query, revision)
            }
            PostMessage::RestoreRevision(command) => {
                let post = revisions::restore(blog, &scope, command).await?;
                ctx.reply(command, post)
            }
            PostMessage::ListTags(query) => {
                let page = list_tags(blog, &scope, query).await?;
                ctx.reply(query, page)
            }
            PostMessage::SearchPosts(query) => {
                let page = search_posts(blog, &scope, query).await?;
                ctx.reply(query, page)
            }
        }
    }
}

/// A post that the caller may read; hidden and missing look the same.
pub(super) async fn readable(blog: &Blog, scope: &Scope, id: PostId) -> Result<PostRow, Failure> {
    let tenant = access::tenant(scope)?;
    let row = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(posts::find(conn, tenant, id).await?))
        .await?
        .ok_or(BlogError::PostNotFound)?;
    match access::ask(blog, scope, POST_READ, access::of_post(&row)).await? {
        None => Ok(row),
        Some(_) => Err(BlogError::PostNotFound.into()),
    }
}

/// Refuses a command on a post that the caller may not do. A missing post passes: the command says
/// so itself, or answers what it answered to the same idempotency key before.
pub(super) async fn permit(
    blog: &Blog,
    scope: &Scope,
    action: &str,
    id: PostId,
) -> Result<(), Failure> {
    let tenant = access::tenant(scope)?;
    let found = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(posts::find(conn, tenant, id).await?))
        .await?;
    match found {
        Some(row) => access::require(blog, scope, action, access::of_post(&row)).await,
        None => Ok(()),
    }
}

async fn create(blog: &Blog, scope: &Scope, command: &CreatePost) -> Result<Post, Failure> {
    let tenant = access::tenant(scope)?;
    let author = access::principal(scope)?.subject;
    let edit = Edit::of_new(&command.post).await?;
    let bounds = Bounds::from(&blog.config);
    blog.db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let draft = save::create(uow, tenant, author, edit, bounds).await?;
            save::insert(uow, &draft).await?;
            save::record(uow, events::POST_CREATED, "blog.post.create", &draft.row);
            Ok(draft.row.to_post(None))
        })
        .await
}

async fn get(blog: &Blog, scope: &Scope, query: &GetPost) -> Result<Post, Failure> {
    let row = readable(blog, scope, query.id).await?;
    let id = row.id;
    let content =
        blog.db.read(async move |conn: &mut DbConn| Ok(posts::content(conn, id).await?)).await?;
    Ok(row.to_post(Some(content.into_content())))
}

async fn list(blog: &Blog, scope: &Scope, query: &ListPosts) -> Result<Page<Post>, Failure> {
    let tenant = access::tenant(scope)?;
    let viewer = access::viewer_of_posts(blog, scope, tenant).await?;
    let after: Option<PostId> = query.page.position()?;
    let mut filter = query.filter.clone();
    filter.tag = filter.tag.as_deref().map(tags::normalise_one);
    let listed = Listed { viewer, filter };
    let rows = query.page.rows();
    let found = blog
        .db
        .read_for(scope, async move |conn: &mut DbConn| {
            Ok(posts::page(conn, tenant, &listed, after, rows).await?)
        })
        .await?;
    Ok(Page::from_rows(found, &query.page, |row| row.id).map(|row| row.to_post(None)))
}

async fn update(blog: &Blog, scope: &Scope, command: &UpdatePost) -> Result<Post, Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, POST_UPDATE, command.id).await?;
    let edit = Edit::of_change(&command.change).await?;
    let bounds = Bounds::from(&blog.config);
    let (id, version) = (command.id, command.version);
    let post = blog
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let before = save::locked(uow, tenant, id, Some(version)).await?;
            let mut after = save::apply(uow, &before, edit).await?;
            if after != before {
                save::update(uow, &before, &mut after, bounds).await?;
                save::record(uow, events::POST_UPDATED, "blog.post.update", &after.row);
            }
            Ok(after.row.to_post(None))
        })
        .await?;
    caching::forget_post(blog, tenant, id).await;
    Ok(post)
}

async fn delete(blog: &Blog, scope: &Scope, command: &DeletePost) -> Result<(), Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, POST_DELETE, command.id).await?;
    let (id, version) = (command.id, command.version);
    blog.db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let row = save::locked_row(uow, tenant, id, version).await?;
            posts::delete(uow.conn(), row.id).await?;
            uow.event(events::post(events::POST_DELETED, &row));
            let resource = format!("blog.post:{id}");
            let record = AuditRecord::new(uow.scope(), "blog.post.delete", resource)
                .detail(json!({ "title": row.title, "slug": row.slug, "status": row.status }));
            uow.audit(record);
            Ok(())
        })
        .await?;
    caching::forget_post(blog, tenant, id).await;
    Ok(())
}

async fn list_tags(
    blog: &Blog,
    scope: &Scope,
    query: &ListTags,
) -> Result<Page<TagCount>, Failure> {
    let tenant = access::tenant(scope)?;
    let viewer = access::viewer_of_posts(blog, scope, tenant).await?;
    tags_page(blog, tenant, viewer, &query.page).await
}

/// A page of tags as a viewer sees them.
pub(super) async fn tags_page(
    blog: &Blog,
    tenant: troupe_kernel::TenantId,
    viewer: Viewer,
    page: &PageRequest,
) -> Result<Page<TagCount>, Failure> {
    let after: Option<String> = page.position()?;
    let rows = page.rows();
    let found = blog
        .db
        .read(async move |conn: &mut DbConn| {
            Ok(crate::repository::tags::page(conn, tenant, viewer, after, rows).await?)
        })
        .await?;
    Ok(Page::from_rows(found, page, |row| row.tag.clone()))
}

async fn search_posts(
    blog: &Blog,
    scope: &Scope,
    query: &SearchPosts,
) -> Result<Page<SearchHit>, Failure> {
    let tenant = access::tenant(scope)?;
    let viewer = access::viewer_of_posts(blog, scope, tenant).await?;
    search_page(blog, tenant, viewer, &query.query, &query.page).await
}

/// A page of results as a viewer sees them. The cursor holds the offset and the query it counts in.
pub(super) async fn search_page(
    blog: &Blog,
    tenant: troupe_kernel::TenantId,
    viewer: Viewer,
    text: &str,
    page: &PageRequest,
) -> Result<Page<SearchHit>, Failure> {
    let Some(text) = query::normalise(text).map_err(BlogError::QueryLength)? else {
        return Ok(Page::default());
    };
    let offset = match page.position::<(String, u32)>()? {
        Some((of, offset)) if of == text => offset,
        Some(_) => return Err(BlogError::QueryDepth.into()),
        None => 0,
    };
    if offset.saturating_add(page.limit) > SEARCH_OFFSET_MAX {
        return Err(BlogError::QueryDepth.into());
    }
    let wanted = Search { text: text.clone(), viewer, offset, rows: page.rows() };
    let found = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(search::search(conn, tenant, &wanted).await?))
        .await?;
    let next = (text, offset + page.limit);
    Ok(Page::from_rows(found, page, |_| next))
}
