//! The actor of import and export.
//!
//! Mailbox: 64, because each message may hold a document of 1 MiB; `blog.transfer_workers` workers;
//! permanent. A crash loses the message at hand; an import is repeated without harm.
//!
//! A document belongs to the post whose id its front matter names, or to the one that was imported
//! from the same path, or to a new one. A document whose bytes were imported before changes nothing;
//! one that says what the post already is changes nothing but the remembered digest.

use std::collections::HashMap;
use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Scope, Service};
use troupe_database::{DbConn, DbTimestamp, DbUuid, UnitOfWork};
use troupe_kernel::{AuditRecord, Cursor, Failure, Page, TenantId, Timestamp};

use super::edit::{self, Edit, WantedSlug};
use super::lifecycle::{set_draft, set_published, set_scheduled};
use super::save::{self, Bounds, Draft};
use super::{Blog, access, caching, compute};
use crate::content::document::{self, Document, DocumentError, ExportedPost};
use crate::content::status::PostStatus;
use crate::error::BlogError;
use crate::events;
use crate::messages::{
    ExportPosts, ExportedDocument, ImportDocument, ImportOutcome, ImportRequest, Imported, PostId,
    TransferMessage,
};
use crate::permissions::{POST_PUBLISH, POST_UPDATE, RESOURCE_POST};
use crate::repository::posts::{self, ContentRow, PostRow};
use crate::repository::{slugs, transfer};

/// A page of an export ends when its documents have this many bytes.
const PAGE_BYTES_MAX: i64 = 4 << 20;

/// Answers imports and exports.
pub struct Transfer {
    blog: Arc<Blog>,
}

impl Transfer {
    /// One worker.
    #[must_use]
    pub fn new(blog: Arc<Blog>) -> Self {
        Self { blog }
    }
}

impl Service for Transfer {
    type Message = TransferMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<TransferMessage>,
        ctx: &mut Context<TransferMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        match &**message {
            TransferMessage::ImportDocument(command) => {
                let imported = import(&self.blog, &scope, command).await?;
                ctx.reply(command, imported)
            }
            TransferMessage::ExportPosts(query) => {
                let page = export(&self.blog, &scope, query).await?;
                ctx.reply(query, page)
            }
        }
    }
}

/// A document ready to be written.
struct Incoming {
    path: String,
    digest: String,
    publish: bool,
    document: Document,
    edit: Edit,
}

async fn import(blog: &Blog, scope: &Scope, command: &ImportDocument) -> Result<Imported, Failure> {
    let tenant = access::tenant(scope)?;
    let author = access::principal(scope)?.subject;
    let incoming = read(&command.document).await?;
    let found = find(blog, tenant, &incoming).await?;
    if let Some(row) = &found {
        if row.source_digest.as_deref() == Some(&incoming.digest)
            && row.source_path.as_deref() == Some(&incoming.path)
        {
            let (outcome, post) = (ImportOutcome::Unchanged, row.to_post(None));
            return Ok(Imported { outcome, post, warnings: incoming.document.warnings });
        }
        access::require(blog, scope, POST_UPDATE, access::of_post(row)).await?;
    }
    let goal = goal(&incoming, found.as_ref());
    if goal != found.as_ref().map_or(PostStatus::Draft, PostRow::status) {
        let resource = found.as_ref().map_or_else(|| own_draft(tenant, author), access::of_post);
        access::require(blog, scope, POST_PUBLISH, resource).await?;
    }
    let bounds = Bounds::from(&blog.config);
    let known = found.map(|row| row.id.to());
    let imported: Imported = blog
        .db
        .command(scope, async move |uow: &mut UnitOfWork| match known {
            Some(id) => update(uow, tenant, id, incoming, bounds).await,
            None => create(uow, tenant, author, incoming, bounds).await,
        })
        .await?;
    if imported.outcome != ImportOutcome::Unchanged {
        caching::forget_post(blog, tenant, imported.post.id).await;
    }
    Ok(imported)
}

fn own_draft(tenant: TenantId, author: uuid::Uuid) -> troupe_kernel::Resource {
    troupe_kernel::Resource {
        kind: RESOURCE_POST.to_owned(),
        tenant: Some(tenant.uuid()),
        owner: Some(author),
        attributes: [("status".to_owned(), serde_json::json!("draft"))].into(),
        ..troupe_kernel::Resource::default()
    }
}

async fn read(request: &ImportRequest) -> Result<Incoming, Failure> {
    // Checked before the text is copied to another thread.
    if request.content.len() > crate::content::limits::DOCUMENT_BYTES_MAX {
        return Err(BlogError::from(DocumentError::TooLarge(request.content.len())).into());
    }
    let (path, content) = (request.path.clone(), request.content.clone());
    let parsed = compute(content.len(), move || {
        let digest = document::digest(&content);
        document::read(&path, &content).map(|document| (path, digest, document))
    });
    let (path, digest, document) = parsed.await?.map_err(BlogError::from)?;
    let body = edit::render(&document.body).await?;
    let edit = Edit {
        title: Some(document.title.clone()),
        body: Some(body),
        excerpt: Some(document.excerpt.clone()),
        tags: Some(document.tags.clone().unwrap_or_default()),
        slug: document.slug.clone().map(WantedSlug::Like),
        comments_enabled: document.comments,
    };
    Ok(Incoming { path, digest, publish: request.publish, document, edit })
}

async fn find(
    blog: &Blog,
    tenant: TenantId,
    incoming: &Incoming,
) -> Result<Option<PostRow>, Failure> {
    let (id, path) = (incoming.document.id, incoming.path.clone());
    blog.db
        .read(async move |conn: &mut DbConn| {
            if let Some(id) = id
                && let Some(row) = posts::find(conn, tenant, PostId(id)).await?
            {
                return Ok(Some(row));
            }
            Ok(posts::find_by_source(conn, tenant, &path).await?)
        })
        .await
}

/// The state that the post is to have.
fn goal(incoming: &Incoming, found: Option<&PostRow>) -> PostStatus {
    match (incoming.document.status, found) {
        (Some(status), _) => status,
        (None, Some(row)) => row.status(),
        (None, None) if incoming.publish => PostStatus::Published,
        (None, None) => PostStatus::Draft,
    }
}

async fn create(
    uow: &mut UnitOfWork,
    tenant: TenantId,
    author: uuid::Uuid,
    incoming: Incoming,
    bounds: Bounds,
) -> Result<Imported, Failure> {
    let goal = goal(&incoming, None);
    let Incoming { path, digest, mut document, edit, .. } = incoming;
    let mut draft = save::create(uow, tenant, author, edit, bounds).await?;
    draft.row.source_path = Some(path);
    draft.row.source_digest = Some(digest);
    set_state(uow, &mut draft.row, goal, &document)?;
    warn_about_slug(&draft.row, &mut document);
    claim_redirects(uow, &draft.row, &mut document, bounds).await?;
    save::insert(uow, &draft).await?;
    save::record(uow, events::POST_CREATED, "blog.post.import", &draft.row);
    announce(uow, PostStatus::Draft, &draft.row);
    let post = draft.row.to_post(None);
    Ok(Imported { outcome: ImportOutcome::Created, post, warnings: document.warnings })
}

async fn update(
    uow: &mut UnitOfWork,
    tenant: TenantId,
    id: PostId,
    incoming: Incoming,
    bounds: Bounds,
) -> Result<Imported, Failure> {
    let before = save::locked(uow, tenant, id, None).await?;
    let goal = goal(&incoming, Some(&before.row));
    let Incoming { path, digest, mut document, edit, .. } = incoming;
    let mut after = save::apply(uow, &before, edit).await?;
    if document.status.is_some() || goal != before.row.status() {
        set_state(uow, &mut after.row, goal, &document)?;
    } else if document.published_at.is_some() {
        after.row.published_at = document.published_at.map(DbTimestamp);
    }
    warn_about_slug(&after.row, &mut document);
    claim_redirects(uow, &after.row, &mut document, bounds).await?;
    let changed = after != before;
    after.row.source_digest = Some(digest);
    adopt_path(uow, &mut after, &path, &mut document).await?;
    let outcome = if changed {
        save::update(uow, &before, &mut after, bounds).await?;
        save::record(uow, events::POST_UPDATED, "blog.post.import", &after.row);
        announce(uow, before.row.status(), &after.row);
        ImportOutcome::Updated
    } else {
        // Only what is remembered of the document: no new version for readers or editors.
        posts::update(uow.conn(), &after.row, before.row.version).await?;
        ImportOutcome::Unchanged
    };
    Ok(Imported { outcome, post: after.row.to_post(None), warnings: document.warnings })
}

/// Remembers the path that the document came from, unless another post has it.
async fn adopt_path(
    uow: &mut UnitOfWork,
    after: &mut Draft,
    path: &str,
    document: &mut Document,
) -> Result<(), Failure> {
    if after.row.source_path.as_deref() == Some(path) {
        return Ok(());
    }
    let other = posts::find_by_source(uow.conn(), after.row.tenant_id.to(), path).await?;
    if other.is_some() {
        document.warnings.push("another post has this path; it is found by its id".to_owned());
    } else {
        after.row.source_path = Some(path.to_owned());
    }
    Ok(())
}

/// Gives the row the state that the document asks for. A time that has passed meanwhile publishes.
fn set_state(
    uow: &mut UnitOfWork,
    row: &mut PostRow,
    goal: PostStatus,
    document: &Document,
) -> Result<(), Failure> {
    let now: Timestamp = uow.now();
    if document.published_at.is_some() {
        row.published_at = document.published_at.map(DbTimestamp);
    }
    match goal {
        PostStatus::Draft => set_draft(row),
        PostStatus::Published => match document.published_at {
            Some(date) if date > now => set_scheduled(uow, row, date)?,
            date => set_published(row, date, now),
        },
        PostStatus::Scheduled => {
            let time = document.publish_at.or(row.publish_at.map(Timestamp::from));
            match time {
                Some(time) if time <= now => set_published(row, Some(time), now),
                Some(time) if row.publish_at == Some(DbTimestamp(time)) => {}
                Some(time) => set_scheduled(uow, row, time)?,
                None => return Err(BlogError::from(DocumentError::Unscheduled).into()),
            }
        }
    }
    Ok(())
}

/// Adds the event of a change of state that came with an import.
fn announce(uow: &mut UnitOfWork, before: PostStatus, row: &PostRow) {
    let kind = match (before, row.status()) {
        (before, after) if before == after => return,
        (_, PostStatus::Published) => events::POST_PUBLISHED,
        (_, PostStatus::Scheduled) => events::POST_SCHEDULED,
        (PostStatus::Published, PostStatus::Draft) => events::POST_UNPUBLISHED,
        (_, PostStatus::Draft) => events::POST_UNSCHEDULED,
    };
    uow.event(events::post(kind, row));
}

fn warn_about_slug(row: &PostRow, document: &mut Document) {
    if let Some(wanted) = &document.slug
        && *wanted != row.slug
    {
        let warning = format!("the slug `{wanted}` is taken; the post has `{}`", row.slug);
        document.warnings.push(warning);
    }
}

/// Lets the older slugs of the document lead to the post, as far as they are free.
async fn claim_redirects(
    uow: &mut UnitOfWork,
    row: &PostRow,
    document: &mut Document,
    bounds: Bounds,
) -> Result<(), Failure> {
    let (tenant, post, now) = (row.tenant_id.to(), row.id.to(), uow.now());
    for redirect in &document.redirects {
        if !slugs::claim(uow.conn(), tenant, redirect, post, now).await? {
            document.warnings.push(format!("the redirect `{redirect}` is taken and not used"));
        }
    }
    if document.redirects.is_empty() {
        return Ok(());
    }
    save::forget_oldest_slugs(uow, row, bounds.redirects_max).await
}

async fn export(
    blog: &Blog,
    scope: &Scope,
    query: &ExportPosts,
) -> Result<Page<ExportedDocument>, Failure> {
    let tenant = access::tenant(scope)?;
    let after: Option<PostId> = query.page.position()?;
    let rows = query.page.rows();
    let limit = query.page.limit as usize;
    let record = AuditRecord::new(scope, "blog.post.export", "blog.posts");
    let (found, old, more) = blog
        .db
        .read(async move |conn: &mut DbConn| {
            let sizes = transfer::sizes(conn, tenant, after, rows).await?;
            let taken = fit(&sizes, limit);
            let ids: Vec<DbUuid> = sizes[..taken].iter().map(|(id, _)| *id).collect();
            let found = transfer::posts(conn, &ids).await?;
            let old = slugs::of_posts(conn, &ids).await?;
            Ok((found, old, taken < sizes.len()))
        })
        .await?;
    if after.is_none() {
        // One record per export, at its first page.
        blog.db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                uow.audit(record);
                Ok(())
            })
            .await?;
    }
    let last = found.last().filter(|_| more).map(|(row, _)| PostId::from(row.id.0));
    let next_cursor = last.map(|id| Cursor::encode(&id).as_str().to_owned());
    Ok(Page { items: documents(found, old), next_cursor })
}

/// How many of these documents make a page: at least one.
fn fit(sizes: &[(DbUuid, i64)], limit: usize) -> usize {
    let mut total = 0_i64;
    for (index, (_, size)) in sizes.iter().take(limit).enumerate() {
        total = total.saturating_add(*size);
        if total > PAGE_BYTES_MAX && index > 0 {
            return index;
        }
    }
    sizes.len().min(limit)
}

fn documents(
    found: Vec<(PostRow, ContentRow)>,
    all_slugs: Vec<(DbUuid, String)>,
) -> Vec<ExportedDocument> {
    let mut redirects: HashMap<DbUuid, Vec<String>> = HashMap::new();
    for (post, slug) in all_slugs {
        redirects.entry(post).or_default().push(slug);
    }
    let mut list = Vec::with_capacity(found.len());
    for (row, content) in found {
        let mut old = redirects.remove(&row.id).unwrap_or_default();
        old.retain(|slug| *slug != row.slug);
        old.truncate(document::REDIRECTS_MAX);
        list.push(exported(row, content, old));
    }
    list
}

fn exported(row: PostRow, content: ContentRow, redirects: Vec<String>) -> ExportedDocument {
    let path = row.source_path.clone().unwrap_or_else(|| format!("posts/{}.md", row.slug));
    let text = document::write(&ExportedPost {
        id: row.id.into(),
        status: row.status(),
        published_at: row.published_at.map(Timestamp::from),
        publish_at: row.publish_at.map(Timestamp::from),
        title: row.title,
        slug: row.slug,
        tags: row.tags.0,
        excerpt: content.excerpt,
        comments: row.comments_enabled,
        redirects,
        body: content.body,
    });
    ExportedDocument { id: row.id.to(), version: row.version, path, content: text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_large_documents_ends_early_but_is_never_empty() {
        let id = DbUuid(uuid::Uuid::nil());
        let large = PAGE_BYTES_MAX / 2 + 1;
        assert_eq!(fit(&[(id, large), (id, large), (id, large)], 10), 1);
        assert_eq!(fit(&[(id, PAGE_BYTES_MAX * 2), (id, 1)], 10), 1);
        assert_eq!(fit(&[(id, 1), (id, 1), (id, 1)], 2), 2);
        assert_eq!(fit(&[], 2), 0);
    }
}
