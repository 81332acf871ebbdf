//! The saves of a post: list, read, bring back.

use troupe_actors::Scope;
use troupe_database::{DbConn, UnitOfWork};
use troupe_kernel::{Failure, Page};

use super::edit::{self, Edit};
use super::posts::{permit, readable};
use super::save::{self, Bounds};
use super::{Blog, access, caching};
use crate::error::BlogError;
use crate::events;
use crate::messages::{
    GetRevision, ListRevisions, Post, RestoreRevision, Revision, RevisionContent,
};
use crate::permissions::POST_UPDATE;
use crate::repository::revisions;

pub(super) async fn list(
    blog: &Blog,
    scope: &Scope,
    query: &ListRevisions,
) -> Result<Page<Revision>, Failure> {
    let tenant = access::tenant(scope)?;
    readable(blog, scope, query.post).await?;
    // Older saves are as private as a draft: what is public now may have held more before.
    permit(blog, scope, POST_UPDATE, query.post).await?;
    let after: Option<i64> = query.page.position()?;
    let (post, rows) = (query.post, query.page.rows());
    let found = blog
        .db
        .read_for(scope, async move |conn: &mut DbConn| {
            Ok(revisions::page(conn, tenant, post, after, rows).await?)
        })
        .await?;
    Ok(Page::from_rows(found, &query.page, |revision| revision.version))
}

pub(super) async fn get(
    blog: &Blog,
    scope: &Scope,
    query: &GetRevision,
) -> Result<RevisionContent, Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, POST_UPDATE, query.post).await?;
    let (post, revision) = (query.post, query.revision);
    let found = blog
        .db
        .read(async move |conn: &mut DbConn| {
            Ok(revisions::find(conn, tenant, post, revision).await?)
        })
        .await?;
    Ok(found.ok_or(BlogError::RevisionNotFound)?.into())
}

pub(super) async fn restore(
    blog: &Blog,
    scope: &Scope,
    command: &RestoreRevision,
) -> Result<Post, Failure> {
    let tenant = access::tenant(scope)?;
    permit(blog, scope, POST_UPDATE, command.post).await?;
    let (id, revision, version) = (command.post, command.revision, command.version);
    let found = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(revisions::find(conn, tenant, id, revision).await?))
        .await?
        .ok_or(BlogError::RevisionNotFound)?;
    let edit = Edit {
        title: Some(found.title),
        body: Some(edit::render(&found.body).await?),
        excerpt: Some(found.excerpt),
        tags: Some(found.tags.0),
        ..Edit::default()
    };
    let bounds = Bounds::from(&blog.config);
    let post = blog
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let before = save::locked(uow, tenant, id, Some(version)).await?;
            let mut after = save::apply(uow, &before, edit).await?;
            if after != before {
                save::update(uow, &before, &mut after, bounds).await?;
                save::record(uow, events::POST_UPDATED, "blog.post.restore", &after.row);
            }
            Ok(after.row.to_post(None))
        })
        .await?;
    caching::forget_post(blog, tenant, id).await;
    Ok(post)
}
