//! Where content lies in the blob store, and how parts become one.
//!
//! Every key begins with the tenant: what one tenant names can never be another's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use troupe_actors::Scope;
use troupe_database::{DbConn, DbUuid};
use troupe_kernel::blob::BlobContent;
use troupe_kernel::pagination::LIMIT_MAX;
use troupe_kernel::ports::{BlobInfo, BoxFuture};
use troupe_kernel::{BlobStore, Cursor, Failure, PageRequest, TenantId};

use super::Shared;
use crate::messages::{EraseContent, FileId, Part};
use crate::repository;

/// What the keys of files begin with.
const FILES: &str = "files/";
/// Content is left alone for this long.
const SWEEP_AGE: Duration = Duration::from_secs(3600);
/// The sweep ends when less than this is left of its time.
const SWEEP_RESERVE: Duration = Duration::from_secs(5);

/// The content of a file.
pub(super) fn key(tenant: TenantId, id: FileId) -> String {
    format!("{FILES}{tenant}/{id}")
}

/// A part; numbers sort like their keys.
pub(super) fn part_key(tenant: TenantId, id: FileId, number: u32) -> String {
    format!("{}{number:05}", parts_prefix(tenant, id))
}

fn parts_prefix(tenant: TenantId, id: FileId) -> String {
    format!("uploads/{tenant}/{id}/")
}

/// The parts that have come, in their order.
pub(super) async fn parts(
    shared: &Shared,
    tenant: TenantId,
    id: FileId,
) -> Result<Vec<BlobInfo>, Failure> {
    let prefix = parts_prefix(tenant, id);
    let mut parts = Vec::new();
    let mut cursor = None;
    loop {
        let page = shared.blobs.list(&prefix, PageRequest { cursor, limit: LIMIT_MAX }).await?;
        parts.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(Cursor::from_text(next)),
            None => return Ok(parts),
        }
    }
}

/// A part as the API shows it.
pub(super) fn part(info: BlobInfo) -> Option<Part> {
    let number = info.key.rsplit('/').next()?.parse().ok()?;
    Some(Part { number, size_bytes: info.size_bytes, digest: info.digest })
}

/// Removes the parts of an upload, and its content unless only parts are meant.
pub(super) async fn erase(shared: &Shared, command: &EraseContent) -> Result<(), Failure> {
    for part in parts(shared, command.tenant, command.id).await? {
        shared.blobs.delete(&part.key).await?;
    }
    if !command.parts_only {
        shared.blobs.delete(&key(command.tenant, command.id)).await?;
    }
    Ok(())
}

/// Removes content that no row has: a link to write may be followed until it expires, also when its
/// upload was given up or its file deleted meanwhile.
pub(super) async fn sweep(shared: &Shared, scope: &Scope) -> Result<u64, Failure> {
    let mut removed = 0;
    let mut cursor = None;
    while scope.remaining() > SWEEP_RESERVE {
        let page = shared.blobs.list(FILES, PageRequest { cursor, limit: LIMIT_MAX }).await?;
        let before = shared.db.clock().now().minus(SWEEP_AGE);
        let old: Vec<(String, DbUuid)> = page
            .items
            .into_iter()
            .filter(|info| info.stored < before)
            .filter_map(|info| {
                let id = info.key.rsplit('/').next()?.parse().ok()?;
                Some((info.key, DbUuid(id)))
            })
            .collect();
        removed += remove_orphans(shared, old).await?;
        match page.next_cursor {
            Some(next) => cursor = Some(Cursor::from_text(next)),
            None => break,
        }
    }
    Ok(removed)
}

async fn remove_orphans(shared: &Shared, found: Vec<(String, DbUuid)>) -> Result<u64, Failure> {
    let ids: Vec<DbUuid> = found.iter().map(|(_, id)| *id).collect();
    let existing = shared
        .db
        .read(async move |conn: &mut DbConn| Ok(repository::existing(conn, &ids).await?))
        .await?;
    let mut removed = 0;
    for (key, id) in found {
        if !existing.contains(&id) {
            shared.blobs.delete(&key).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The parts one after the other.
pub(super) struct Joined {
    blobs: Arc<dyn BlobStore>,
    parts: VecDeque<String>,
    open: Option<Box<dyn BlobContent>>,
}

impl Joined {
    pub(super) fn new(blobs: Arc<dyn BlobStore>, parts: &[BlobInfo]) -> Self {
        Self { blobs, parts: parts.iter().map(|part| part.key.clone()).collect(), open: None }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(open) = &mut self.open {
                if let Some(piece) = open.next().await? {
                    return Ok(Some(piece));
                }
                self.open = None;
            }
            let Some(key) = self.parts.pop_front() else { return Ok(None) };
            let reader = self.blobs.read(&key, None).await?.ok_or_else(|| {
                Failure::unavailable("files.part.gone", "a part is gone; complete again")
            })?;
            self.open = Some(reader.content);
        }
    }
}

impl BlobContent for Joined {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(self.piece())
    }
}
