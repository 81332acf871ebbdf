//! Uploads step by step.

use std::time::Duration;

use troupe_actors::Scope;
use troupe_database::prelude::*;
use troupe_database::{DbConn, UnitOfWork};
use troupe_kernel::blob::{LinkUse, NewBlob};
use troupe_kernel::ports::BlobInfo;
use troupe_kernel::{AuditRecord, Failure, FailureKind, Job, TenantId, new_id};

use super::{Shared, access, content};
use crate::error::FileError;
use crate::events::{self, FILE_STORED};
use crate::messages::{BeginUpload, EraseContent, File, FileId, Part, PutPart, Upload};
use crate::module::ERASE_JOB;
use crate::repository::{self, FileRow, OPEN, STORED};

const NAME_CHARACTERS_MAX: usize = 200;
const PART_TYPE: &str = "application/octet-stream";
/// After its time an upload may still be completed by a request that was under way.
const GRACE: Duration = Duration::from_secs(3600);
/// Links are valid for no less.
const LINK_TIME_MIN: Duration = Duration::from_secs(1);
/// Uploads that are removed at once.
const SWEPT_AT_ONCE: i64 = 100;
/// The sweep ends when less than this is left of its time.
const SWEEP_RESERVE: Duration = Duration::from_secs(5);

pub(super) async fn begin(
    shared: &Shared,
    scope: &Scope,
    command: &BeginUpload,
) -> Result<Upload, Failure> {
    let tenant = access::tenant(scope)?;
    let owner = access::principal(scope)?.subject;
    let config = &shared.config;
    let size_bytes = i64::try_from(command.size_bytes).unwrap_or(i64::MAX);
    if command.size_bytes > config.size_max {
        return Err(FileError::Size(config.size_max).into());
    }
    let now = shared.db.clock().now();
    let row = FileRow {
        id: DbUuid::of(FileId(new_id(shared.db.clock().as_ref()))),
        tenant_id: DbUuid::of(tenant),
        owner_id: DbUuid(owner),
        name: file_name(&command.name)?,
        content_type: command.content_type.clone(),
        size_bytes,
        digest: command.digest.clone(),
        part_size_bytes: i64::try_from(config.part_size).unwrap_or(i64::MAX),
        state: OPEN.to_owned(),
        created_at: now.into(),
        expires_at: now.plus(config.upload_time).into(),
        stored_at: None,
    };
    // The store says what is wrong with type and digest before anything is written.
    let upload = shown(shared, tenant, &row, Vec::new()).await?;
    let (quota, open_max) = (config.tenant_size_max, config.open_max);
    shared
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let total = repository::total_bytes(uow.conn(), tenant).await?;
            let total = u64::try_from(total.saturating_add(size_bytes)).unwrap_or(u64::MAX);
            if total > quota {
                return Err(FileError::Quota(quota).into());
            }
            if repository::open_count(uow.conn(), tenant).await? >= i64::from(open_max) {
                return Err(FileError::Open(open_max).into());
            }
            repository::insert(uow.conn(), &row).await?;
            uow.audit(record(uow.scope(), "files.upload.begin", &row));
            Ok(upload)
        })
        .await
}

pub(super) async fn get(shared: &Shared, scope: &Scope, id: FileId) -> Result<Upload, Failure> {
    let (tenant, row) = open_upload(shared, scope, id).await?;
    let parts = content::parts(shared, tenant, id).await?;
    shown(shared, tenant, &row, parts).await
}

pub(super) async fn put_part(
    shared: &Shared,
    scope: &Scope,
    command: &PutPart,
) -> Result<Part, Failure> {
    let (tenant, row) = open_upload(shared, scope, command.id).await?;
    let expected = row.part_bytes(command.number).ok_or(FileError::PartNumber)?;
    let found = command.content.len() as u64;
    if found != expected {
        return Err(FileError::PartSize { expected, found }.into());
    }
    let key = content::part_key(tenant, command.id, command.number);
    let stored = shared.blobs.put(&key, PART_TYPE, command.content.clone()).await?;
    let (number, size_bytes, digest) = (command.number, stored.size_bytes, stored.digest);
    Ok(Part { number, size_bytes, digest })
}

pub(super) async fn complete(shared: &Shared, scope: &Scope, id: FileId) -> Result<File, Failure> {
    let tenant = access::tenant(scope)?;
    let row = owned(shared, scope, tenant, id).await?;
    if row.state == STORED {
        return File::try_from(row);
    }
    let parts = content::parts(shared, tenant, id).await?;
    gather(shared, tenant, &row, &parts).await?;
    let now = shared.db.clock().now();
    let erase = EraseContent { tenant, id, parts_only: true };
    let parted = !parts.is_empty();
    shared
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            let changed = repository::store(uow.conn(), tenant, id, now).await?;
            let row = repository::find(uow.conn(), tenant, id).await?.ok_or(FileError::NoUpload)?;
            if changed {
                uow.event(events::of(FILE_STORED, &row));
                uow.audit(record(uow.scope(), "files.upload.complete", &row));
                if parted {
                    uow.job(Job::new(ERASE_JOB, &erase));
                }
            }
            File::try_from(row)
        })
        .await
}

/// Makes sure that the content is there and is what was announced.
async fn gather(
    shared: &Shared,
    tenant: TenantId,
    row: &FileRow,
    parts: &[BlobInfo],
) -> Result<(), Failure> {
    let key = content::key(tenant, row.id.to());
    let announced = u64::try_from(row.size_bytes).unwrap_or(0);
    if let Some(whole) = shared.blobs.inspect(&key).await? {
        if (whole.size_bytes, whole.digest.as_str()) == (announced, row.digest.as_str()) {
            return Ok(());
        }
        shared.blobs.delete(&key).await?;
        return Err(FileError::Differs.into());
    }
    let mut found = 0;
    for (index, part) in parts.iter().enumerate() {
        let number = content::part(part.clone()).map(|part| part.number as usize);
        if number != Some(index + 1) {
            break;
        }
        found += part.size_bytes;
    }
    let all = parts.iter().map(|part| part.size_bytes).sum::<u64>();
    if found != announced || all != announced {
        return Err(FileError::Incomplete { found, announced }.into());
    }
    let blob = NewBlob {
        key,
        content_type: row.content_type.clone(),
        size_max: announced,
        digest: Some(row.digest.clone()),
    };
    let joined = content::Joined::new(shared.blobs.clone(), parts);
    shared.blobs.put_stream(blob, Box::new(joined)).await.map(drop)
}

pub(super) async fn abort(shared: &Shared, scope: &Scope, id: FileId) -> Result<(), Failure> {
    let (tenant, row) = open_upload(shared, scope, id).await?;
    let erase = EraseContent { tenant, id, parts_only: false };
    shared
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            if repository::delete(uow.conn(), tenant, id, OPEN).await? {
                uow.job(Job::new(ERASE_JOB, &erase));
                uow.audit(record(uow.scope(), "files.upload.abort", &row));
            }
            Ok(())
        })
        .await
}

/// Removes uploads whose time is over, content first: one that fails is found again.
pub(super) async fn sweep(shared: &Shared, scope: &Scope) -> Result<u64, Failure> {
    let mut removed = 0;
    while scope.remaining() > SWEEP_RESERVE {
        let before = shared.db.clock().now().minus(GRACE);
        let expired = shared
            .db
            .read(async move |conn: &mut DbConn| {
                Ok(repository::expired(conn, before, SWEPT_AT_ONCE).await?)
            })
            .await?;
        if expired.is_empty() {
            break;
        }
        for row in expired {
            let (tenant, id): (TenantId, FileId) = (row.tenant_id.to(), row.id.to());
            let erase = EraseContent { tenant, id, parts_only: false };
            content::erase(shared, &erase).await?;
            shared
                .db
                .transaction(scope, async move |uow: &mut UnitOfWork| {
                    if repository::delete(uow.conn(), tenant, id, OPEN).await? {
                        uow.audit(record(uow.scope(), "files.upload.expire", &row));
                    }
                    Ok(())
                })
                .await?;
            removed += 1;
        }
    }
    Ok(removed)
}

async fn open_upload(
    shared: &Shared,
    scope: &Scope,
    id: FileId,
) -> Result<(TenantId, FileRow), Failure> {
    let tenant = access::tenant(scope)?;
    let row = owned(shared, scope, tenant, id).await?;
    let over = row.expires_at.0 <= shared.db.clock().now();
    if row.state != OPEN || over {
        return Err(FileError::NoUpload.into());
    }
    Ok((tenant, row))
}

/// A row of the caller: nobody else sees an upload.
async fn owned(
    shared: &Shared,
    scope: &Scope,
    tenant: TenantId,
    id: FileId,
) -> Result<FileRow, Failure> {
    let me = DbUuid(access::principal(scope)?.subject);
    let found = shared
        .db
        .read(async move |conn: &mut DbConn| Ok(repository::find(conn, tenant, id).await?))
        .await?;
    found.filter(|row| row.owner_id == me).ok_or_else(|| FileError::NoUpload.into())
}

async fn shown(
    shared: &Shared,
    tenant: TenantId,
    row: &FileRow,
    parts: Vec<BlobInfo>,
) -> Result<Upload, Failure> {
    let id: FileId = row.id.to();
    let usage = LinkUse::Write {
        content_type: row.content_type.clone(),
        size_bytes: u64::try_from(row.size_bytes).unwrap_or(0),
        digest: row.digest.clone(),
    };
    let left = row.expires_at.0.since(shared.db.clock().now()).max(LINK_TIME_MIN);
    let link = match shared.blobs.link(&content::key(tenant, id), usage, left).await {
        Ok(link) => Some(link.into()),
        // More than the store takes in one request: parts it is.
        Err(failure) if failure.kind() == FailureKind::TooLarge => None,
        Err(failure) => return Err(failure),
    };
    Ok(Upload {
        id,
        name: row.name.clone(),
        content_type: row.content_type.clone(),
        size_bytes: row.size_bytes,
        digest: row.digest.clone(),
        part_size_bytes: row.part_size_bytes,
        parts: parts.into_iter().filter_map(content::part).collect(),
        link,
        expires_at: row.expires_at.into(),
    })
}

/// The record of what was done with a file.
pub(super) fn record(scope: &Scope, action: &str, row: &FileRow) -> AuditRecord {
    AuditRecord::new(scope, action, format!("files.file:{}", row.id.0))
        .tenant(row.tenant_id.to())
        .detail(serde_json::json!({ "name": row.name, "digest": row.digest }))
}

/// The last part of a path as browsers send it, on one line.
fn file_name(given: &str) -> Result<String, FileError> {
    let name = given.rsplit(['/', '\\']).next().unwrap_or(given).trim();
    let fits = (1..=NAME_CHARACTERS_MAX).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(FileError::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_loses_its_folders() {
        assert_eq!(file_name("C:\\pictures\\cat.png"), Ok("cat.png".to_owned()));
        assert_eq!(file_name("../../etc/cat.png "), Ok("cat.png".to_owned()));
        for wrong in ["a/", "", "a\nb", &"x".repeat(201)] {
            assert_eq!(file_name(wrong), Err(FileError::Name));
        }
    }
}
