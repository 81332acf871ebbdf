//! How a post is written: the row, its content, its slugs and tags, the revision and the effects,
//! all in the transaction of the caller.

use serde_json::json;
use troupe_database::{DbTimestamp, DbUuid, TextList, UnitOfWork};
use troupe_kernel::{AuditRecord, Event, Failure, TenantId};

use super::edit::{Body, Edit, WantedSlug};
use super::editor;
use crate::config::BlogConfig;
use crate::content::excerpt;
use crate::content::slug;
use crate::content::status::PostStatus;
use crate::error::BlogError;
use crate::events;
use crate::messages::PostId;
use crate::repository::posts::{self, ContentRow, PostRow};
use crate::repository::revisions::{self, RevisionRow};
use crate::repository::{slugs, tags};

/// The bounds that a save keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) revisions_max: u32,
    pub(super) redirects_max: u32,
    pub(super) comments_enabled: bool,
}

impl From<&BlogConfig> for Bounds {
    fn from(config: &BlogConfig) -> Self {
        Self {
            revisions_max: config.revisions_max,
            redirects_max: config.redirects_max,
            comments_enabled: config.comments.enabled,
        }
    }
}

/// A post that is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) row: PostRow,
    pub(super) content: ContentRow,
}

/// Writes a new draft. The row is given its slug; the caller may set source and state before.
pub(super) async fn create(
    uow: &mut UnitOfWork,
    tenant: TenantId,
    author: uuid::Uuid,
    edit: Edit,
    bounds: Bounds,
) -> Result<Draft, Failure> {
    let id: PostId = uow.new_id();
    let now = DbTimestamp(uow.now());
    let title = edit.title.ok_or(BlogError::Title(crate::content::title::TitleError::Empty))?;
    let wanted = edit.slug.unwrap_or_else(|| WantedSlug::Like(slug::slugify(&title)));
    let tag_list = edit.tags.unwrap_or_default();
    let body = edit.body.unwrap_or_else(|| Body {
        markdown: String::new(),
        html: String::new(),
        plain: String::new(),
    });
    let slug = claim(uow, tenant, id, &wanted).await?;
    let excerpt = edit.excerpt.flatten();
    let draft = Draft {
        row: PostRow {
            id: DbUuid::of(id),
            tenant_id: DbUuid::of(tenant),
            author_id: DbUuid(author),
            slug,
            summary: excerpt.clone().unwrap_or_else(|| excerpt::automatic(&body.plain)),
            tags: TextList(tag_list.clone()),
            status: PostStatus::Draft.as_str().to_owned(),
            comments_enabled: edit.comments_enabled.unwrap_or(bounds.comments_enabled),
            version: 1,
            source_path: None,
            source_digest: None,
            published_at: None,
            publish_at: None,
            created_at: now,
            updated_at: now,
            title: title.clone(),
        },
        content: ContentRow {
            post_id: DbUuid::of(id),
            tenant_id: DbUuid::of(tenant),
            title,
            keywords: tag_list.join(" "),
            size_bytes: i64::try_from(body.markdown.len()).unwrap_or(i64::MAX),
            body: body.markdown,
            html: body.html,
            plain: body.plain,
            excerpt,
        },
    };
    Ok(draft)
}

/// Adds a draft that [`create`] prepared, with its tags and first revision.
pub(super) async fn insert(uow: &mut UnitOfWork, draft: &Draft) -> Result<(), Failure> {
    posts::insert(uow.conn(), &draft.row, &draft.content).await?;
    tags::set(uow.conn(), draft.row.tenant_id, draft.row.id, &draft.row.tags.0).await?;
    keep_revision(uow, draft).await
}

/// What an edit makes of a post. The row is as before when nothing changes.
pub(super) async fn apply(
    uow: &mut UnitOfWork,
    before: &Draft,
    edit: Edit,
) -> Result<Draft, Failure> {
    let mut after = before.clone();
    if let Some(title) = edit.title {
        after.row.title.clone_from(&title);
        after.content.title = title;
    }
    if let Some(body) = edit.body {
        after.content.size_bytes = i64::try_from(body.markdown.len()).unwrap_or(i64::MAX);
        after.content.body = body.markdown;
        after.content.html = body.html;
        after.content.plain = body.plain;
    }
    if let Some(excerpt) = edit.excerpt {
        after.content.excerpt = excerpt;
    }
    if let Some(tags) = edit.tags {
        after.content.keywords = tags.join(" ");
        after.row.tags = TextList(tags);
    }
    if let Some(enabled) = edit.comments_enabled {
        after.row.comments_enabled = enabled;
    }
    if let Some(wanted) = edit.slug
        && !fits(&wanted, &after.row.slug)
    {
        after.row.slug = claim(uow, before.row.tenant_id.to(), before.row.id.to(), &wanted).await?;
    }
    after.row.summary = match &after.content.excerpt {
        Some(excerpt) => excerpt.clone(),
        None => excerpt::automatic(&after.content.plain),
    };
    Ok(after)
}

/// Writes a changed post as its next version, with a revision when its content changed.
pub(super) async fn update(
    uow: &mut UnitOfWork,
    before: &Draft,
    after: &mut Draft,
    bounds: Bounds,
) -> Result<(), Failure> {
    advance(uow, &before.row, &mut after.row).await?;
    if before.row.tags != after.row.tags {
        tags::set(uow.conn(), after.row.tenant_id, after.row.id, &after.row.tags.0).await?;
    }
    if before.row.slug != after.row.slug {
        forget_oldest_slugs(uow, &after.row, bounds.redirects_max).await?;
    }
    let content_changed = before.content != after.content;
    if content_changed {
        posts::update_content(uow.conn(), &after.content).await?;
    }
    if content_changed || before.row.slug != after.row.slug {
        keep_revision(uow, after).await?;
        revisions::prune(uow.conn(), after.row.id, bounds.revisions_max).await?;
    }
    Ok(())
}

/// Writes a changed row as the next version of the post.
pub(super) async fn advance(
    uow: &mut UnitOfWork,
    before: &PostRow,
    after: &mut PostRow,
) -> Result<(), Failure> {
    after.version = before.version + 1;
    after.updated_at = DbTimestamp(uow.now());
    if posts::update(uow.conn(), after, before.version).await? {
        return Ok(());
    }
    // The row is locked, so this is a writer that does not lock: a defect, not a race.
    Err(BlogError::Stale { current: before.version + 1 }.into())
}

/// The post for change with its content, at the expected version.
pub(super) async fn locked(
    uow: &mut UnitOfWork,
    tenant: TenantId,
    id: PostId,
    version: Option<i64>,
) -> Result<Draft, Failure> {
    let row = locked_row(uow, tenant, id, version).await?;
    let content = posts::content(uow.conn(), row.id).await?;
    Ok(Draft { row, content })
}

/// The post for change, at the expected version.
pub(super) async fn locked_row(
    uow: &mut UnitOfWork,
    tenant: TenantId,
    id: PostId,
    version: Option<i64>,
) -> Result<PostRow, Failure> {
    let row = posts::lock(uow.conn(), tenant, id).await?.ok_or(BlogError::PostNotFound)?;
    if version.is_some_and(|version| version != row.version) {
        return Err(BlogError::Stale { current: row.version }.into());
    }
    Ok(row)
}

/// Adds the event and the audit record of a change of a post.
pub(super) fn record(uow: &mut UnitOfWork, kind: &str, action: &str, row: &PostRow) {
    let event: Event = events::post(kind, row);
    uow.event(event);
    let resource = format!("blog.post:{}", row.id.0);
    let record = AuditRecord::new(uow.scope(), action, resource)
        .tenant(row.tenant_id.to())
        .detail(json!({ "version": row.version, "slug": row.slug, "status": row.status }));
    uow.audit(record);
}

/// Gives the post a slug that nobody else has or had.
pub(super) async fn claim(
    uow: &mut UnitOfWork,
    tenant: TenantId,
    id: PostId,
    wanted: &WantedSlug,
) -> Result<String, Failure> {
    let now = uow.now();
    match wanted {
        WantedSlug::Exactly(slug) => {
            if slugs::claim(uow.conn(), tenant, slug, id, now).await? {
                return Ok(slug.clone());
            }
            Err(BlogError::SlugTaken(slug.clone()).into())
        }
        WantedSlug::Like(slug) => {
            for candidate in slug::candidates(slug, id.uuid()) {
                if slugs::claim(uow.conn(), tenant, &candidate, id, now).await? {
                    return Ok(candidate);
                }
            }
            Err(BlogError::SlugTaken(slug.clone()).into())
        }
    }
}

/// Whether the current slug is what is wanted, or one of the free ones like it.
fn fits(wanted: &WantedSlug, current: &str) -> bool {
    match wanted {
        WantedSlug::Exactly(slug) => slug == current,
        WantedSlug::Like(base) => {
            current == base
                || current
                    .strip_prefix(base.as_str())
                    .and_then(|rest| rest.strip_prefix('-'))
                    .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        }
    }
}

async fn keep_revision(uow: &mut UnitOfWork, draft: &Draft) -> Result<(), Failure> {
    let row = RevisionRow {
        post_id: draft.row.id,
        version: draft.row.version,
        tenant_id: draft.row.tenant_id,
        editor_id: editor(uow.scope()).map(DbUuid),
        title: draft.row.title.clone(),
        slug: draft.row.slug.clone(),
        body: draft.content.body.clone(),
        excerpt: draft.content.excerpt.clone(),
        tags: draft.row.tags.clone(),
        created_at: DbTimestamp(uow.now()),
    };
    revisions::insert(uow.conn(), &row).await?;
    Ok(())
}

/// Forgets the oldest slugs that still lead to a post when there are too many.
pub(super) async fn forget_oldest_slugs(
    uow: &mut UnitOfWork,
    row: &PostRow,
    redirects_max: u32,
) -> Result<(), Failure> {
    let all = slugs::of_posts(uow.conn(), &[row.id]).await?;
    let old: Vec<&String> =
        all.iter().map(|(_, slug)| slug).filter(|slug| **slug != row.slug).collect();
    let surplus = old.len().saturating_sub(redirects_max as usize);
    for slug in &old[..surplus] {
        slugs::remove(uow.conn(), row.tenant_id, slug).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbered_slug_fits_the_one_it_was_made_from() {
        let like = WantedSlug::Like("hello".to_owned());
        for slug in ["hello", "hello-2", "hello-10"] {
            assert!(fits(&like, slug), "{slug}");
        }
        for slug in ["hello-world", "hell", "hello2"] {
            assert!(!fits(&like, slug), "{slug}");
        }
        assert!(!fits(&WantedSlug::Exactly("hello".to_owned()), "hello-2"));
    }
}
