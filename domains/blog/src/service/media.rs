//! The actor of uploads.
//!
//! Mailbox: 64, because each message may hold an upload; `blog.media.workers` workers; permanent. A
//! crash loses the message at hand. The content is stored before its row: what a crash leaves
//! between the two is found by the sweep, an hour later.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use troupe_actors::{Context, Handled, Lent, Scope, Service};
use troupe_database::{DbConn, DbTimestamp, DbUuid, UnitOfWork};
use troupe_kernel::{AuditRecord, Cursor, Failure, Job, Page, PageRequest, TenantId, new_id};
use uuid::Uuid;

use super::{Blog, access, caching, public};
use crate::content::limits::MEDIA_NAME_CHARACTERS_MAX;
use crate::content::media_type::MediaType;
use crate::error::BlogError;
use crate::events::{self, MediaEvent};
use crate::messages::{
    DeleteMedia, EraseBlob, ListMedia, Media, MediaId, MediaMessage, ReadMedia, ReadPublicMedia,
    Served, UploadMedia,
};
use crate::permissions::MEDIA_DELETE;
use crate::repository::media::{self, MediaRow};

/// The kind of the job that removes the content of a deleted upload.
pub(crate) const ERASE_JOB: &str = "blog.erase_media";
/// Contents without a row are left alone for this long: their upload may be under way.
const SWEEP_AGE: Duration = Duration::from_secs(3600);
/// The sweep ends when less than this is left of its time.
const SWEEP_RESERVE: Duration = Duration::from_secs(5);
const PREFIX: &str = "blog/";

/// Answers commands and queries on uploads.
pub struct MediaLibrary {
    blog: Arc<Blog>,
}

impl MediaLibrary {
    /// One worker.
    #[must_use]
    pub fn new(blog: Arc<Blog>) -> Self {
        Self { blog }
    }
}

impl Service for MediaLibrary {
    type Message = MediaMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<MediaMessage>,
        ctx: &mut Context<MediaMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        let blog = &self.blog;
        match &**message {
            MediaMessage::UploadMedia(command) => {
                let media = upload(blog, &scope, command).await?;
                ctx.reply(command, media)
            }
            MediaMessage::ListMedia(query) => {
                let page = list(blog, &scope, query).await?;
                ctx.reply(query, page)
            }
            MediaMessage::ReadMedia(query) => {
                let served = read(blog, &scope, query).await?;
                ctx.reply(query, served)
            }
            MediaMessage::ReadPublicMedia(query) => {
                let served = read_public(blog, &scope, query).await?;
                ctx.reply(query, served)
            }
            MediaMessage::DeleteMedia(command) => {
                delete(blog, &scope, command).await?;
                ctx.reply(command, ())
            }
            MediaMessage::EraseBlob(command) => {
                blog.blobs.delete(&key(command.tenant, command.media)).await?;
                ctx.reply(command, ())
            }
            MediaMessage::SweepMedia(command) => {
                let removed = sweep(blog, &scope).await?;
                ctx.reply(command, removed)
            }
        }
    }
}

async fn upload(blog: &Blog, scope: &Scope, command: &UploadMedia) -> Result<Media, Failure> {
    let tenant = access::tenant(scope)?;
    let uploader = access::principal(scope)?.subject;
    let limits = &blog.config.media;
    if command.content.is_empty() {
        return Err(BlogError::MediaEmpty.into());
    }
    if command.content.len() as u64 > limits.bytes_max {
        return Err(BlogError::MediaTooLarge(limits.bytes_max).into());
    }
    let content_type = MediaType::sniff(&command.content).ok_or(BlogError::MediaType)?;
    let name = file_name(&command.name)?;
    let size_bytes = i64::try_from(command.content.len()).unwrap_or(i64::MAX);
    check_quota(blog, tenant, size_bytes).await?;

    let id = MediaId(new_id(blog.db.clock().as_ref()));
    let blob = key(tenant, id);
    let stored = blog.blobs.put(&blob, content_type.as_str(), command.content.clone()).await?;
    let quota = limits.tenant_bytes_max;
    let row = MediaRow {
        id: DbUuid::of(id),
        tenant_id: DbUuid::of(tenant),
        uploader_id: DbUuid(uploader),
        name,
        content_type: content_type.as_str().to_owned(),
        size_bytes,
        digest: stored.digest,
        created_at: DbTimestamp(blog.db.clock().now()),
    };
    let kept = blog
        .db
        .command_marked(scope, async move |uow: &mut UnitOfWork| {
            let total = media::total_bytes(uow.conn(), tenant).await?;
            if exceeds(total, size_bytes, quota) {
                return Err(BlogError::MediaQuota(quota).into());
            }
            media::insert(uow.conn(), &row).await?;
            record(uow, events::MEDIA_UPLOADED, "blog.media.upload", &row);
            Media::try_from(row)
        })
        .await;
    // The content belongs to no row when the command failed or answered an earlier upload.
    if kept.as_ref().map_or(true, |kept| kept.replayed)
        && let Err(failure) = blog.blobs.delete(&blob).await
    {
        tracing::warn!(%failure, blob, "an upload without a row is left to the sweep");
    }
    Ok(kept?.value)
}

/// Refuses before the content is stored; the command checks again where nobody can come between.
async fn check_quota(blog: &Blog, tenant: TenantId, size_bytes: i64) -> Result<(), Failure> {
    let quota = blog.config.media.tenant_bytes_max;
    let total = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(media::total_bytes(conn, tenant).await?))
        .await?;
    if exceeds(total, size_bytes, quota) {
        return Err(BlogError::MediaQuota(quota).into());
    }
    Ok(())
}

fn exceeds(total: i64, added: i64, quota: u64) -> bool {
    u64::try_from(total.saturating_add(added)).unwrap_or(u64::MAX) > quota
}

async fn list(blog: &Blog, scope: &Scope, query: &ListMedia) -> Result<Page<Media>, Failure> {
    let tenant = access::tenant(scope)?;
    let after: Option<MediaId> = query.page.position()?;
    let rows = query.page.rows();
    let found = blog
        .db
        .read_for(scope, async move |conn: &mut DbConn| {
            Ok(media::page(conn, tenant, after, rows).await?)
        })
        .await?;
    let page = Page::from_rows(found, &query.page, |row| row.id);
    let items: Result<Vec<Media>, Failure> = page.items.into_iter().map(Media::try_from).collect();
    Ok(Page { items: items?, next_cursor: page.next_cursor })
}

async fn read(blog: &Blog, scope: &Scope, query: &ReadMedia) -> Result<Served, Failure> {
    let tenant = access::tenant(scope)?;
    content(blog, tenant, query.id, query.known.as_deref()).await
}

async fn read_public(
    blog: &Blog,
    scope: &Scope,
    query: &ReadPublicMedia,
) -> Result<Served, Failure> {
    let tenant = public::publisher(blog, scope, &query.organisation).await?.tenant;
    content(blog, tenant, query.id, query.known.as_deref()).await
}

async fn content(
    blog: &Blog,
    tenant: TenantId,
    id: MediaId,
    known: Option<&str>,
) -> Result<Served, Failure> {
    let row = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(media::find(conn, tenant, id).await?))
        .await?
        .ok_or(BlogError::MediaNotFound)?;
    if known.is_some_and(|known| caching::knows(known, &row.digest)) {
        return Ok(Served::NotModified { etag: row.digest, immutable: true });
    }
    let blob = blog.blobs.get(&key(tenant, id)).await?.ok_or(BlogError::MediaNotFound)?;
    Ok(Served::Fresh {
        content_type: row.content_type,
        etag: row.digest,
        body: blob.content,
        immutable: true,
    })
}

async fn delete(blog: &Blog, scope: &Scope, command: &DeleteMedia) -> Result<(), Failure> {
    let tenant = access::tenant(scope)?;
    let id = command.id;
    let found = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(media::find(conn, tenant, id).await?))
        .await?;
    if let Some(row) = found {
        access::require(blog, scope, MEDIA_DELETE, access::of_media(&row)).await?;
    }
    blog.db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let found = media::find(uow.conn(), tenant, id).await?;
            let row = found.ok_or(BlogError::MediaNotFound)?;
            media::delete(uow.conn(), tenant, id).await?;
            uow.job(Job::new(ERASE_JOB, &EraseBlob { tenant, media: id }));
            record(uow, events::MEDIA_DELETED, "blog.media.delete", &row);
            Ok(())
        })
        .await
}

/// Removes contents that have no row and are older than an upload takes.
async fn sweep(blog: &Blog, scope: &Scope) -> Result<u64, Failure> {
    let mut removed = 0;
    let mut cursor: Option<Cursor> = None;
    while scope.remaining() > SWEEP_RESERVE {
        let request = PageRequest { cursor, limit: troupe_kernel::pagination::LIMIT_MAX };
        let page = blog.blobs.list(PREFIX, request).await?;
        let before = blog.db.clock().now().minus(SWEEP_AGE);
        let old: Vec<(String, Uuid)> = page
            .items
            .into_iter()
            .filter_map(|info| Some((id_of(&info.key)?, info)))
            .filter(|(_, info)| info.stored < before)
            .map(|(id, info)| (info.key, id))
            .collect();
        removed += remove_orphans(blog, old).await?;
        match page.next_cursor {
            Some(next) => cursor = Some(Cursor::from_text(next)),
            None => return Ok(removed),
        }
    }
    Ok(removed)
}

async fn remove_orphans(blog: &Blog, blobs: Vec<(String, Uuid)>) -> Result<u64, Failure> {
    let ids: Vec<DbUuid> = blobs.iter().map(|(_, id)| DbUuid(*id)).collect();
    let existing: HashSet<DbUuid> = blog
        .db
        .read(async move |conn: &mut DbConn| Ok(media::existing(conn, &ids).await?))
        .await?
        .into_iter()
        .collect();
    let mut removed = 0;
    for (key, id) in blobs {
        if !existing.contains(&DbUuid(id)) {
            blog.blobs.delete(&key).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn record(uow: &mut UnitOfWork, kind: &str, action: &str, row: &MediaRow) {
    let tenant = row.tenant_id.to();
    let data = MediaEvent {
        media: row.id.to(),
        content_type: row.content_type.clone(),
        size_bytes: row.size_bytes,
    };
    uow.event(events::media(kind, tenant, &data));
    let record = AuditRecord::new(uow.scope(), action, format!("blog.media:{}", row.id.0))
        .tenant(tenant)
        .detail(serde_json::json!({ "name": row.name, "digest": row.digest }));
    uow.audit(record);
}

/// The key of an upload's content in the blob store.
fn key(tenant: TenantId, media: MediaId) -> String {
    format!("{PREFIX}{tenant}/{media}")
}

fn id_of(key: &str) -> Option<Uuid> {
    key.rsplit('/').next()?.parse().ok()
}

/// The last part of a path as browsers send it, on one line.
fn file_name(given: &str) -> Result<String, BlogError> {
    let name = given.rsplit(['/', '\\']).next().unwrap_or(given).trim();
    let fits = (1..=MEDIA_NAME_CHARACTERS_MAX).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(BlogError::MediaName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_loses_its_folders() {
        assert_eq!(file_name("C:\\pictures\\cat.png"), Ok("cat.png".to_owned()));
        assert_eq!(file_name("../../etc/cat.png "), Ok("cat.png".to_owned()));
        assert_eq!(file_name("a/"), Err(BlogError::MediaName));
        assert_eq!(file_name(&"x".repeat(201)), Err(BlogError::MediaName));
        assert_eq!(file_name("a\nb"), Err(BlogError::MediaName));
    }

    #[test]
    fn the_id_is_read_from_the_key() {
        let (tenant, media) = (TenantId(Uuid::from_u128(1)), MediaId(Uuid::from_u128(2)));
        assert_eq!(id_of(&key(tenant, media)), Some(media.uuid()));
        assert_eq!(id_of("blog/readme"), None);
    }

    #[test]
    fn a_quota_is_reached_by_the_sum() {
        assert!(!exceeds(5, 5, 10));
        assert!(exceeds(6, 5, 10));
        assert!(exceeds(i64::MAX, 1, u64::MAX / 4));
    }
}
