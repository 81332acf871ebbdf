//! Files whose content is there.

use troupe_actors::Scope;
use troupe_database::{DbConn, UnitOfWork};
use troupe_kernel::blob::LinkUse;
use troupe_kernel::{Failure, Job, Page, TenantId};

use super::{Shared, access, content, uploads};
use crate::error::FileError;
use crate::events::{self, FILE_DELETED};
use crate::messages::{EraseContent, File, FileId, Link, ListFiles};
use crate::module::ERASE_JOB;
use crate::repository::{self, FileRow, STORED};

pub(super) async fn list(
    shared: &Shared,
    scope: &Scope,
    query: &ListFiles,
) -> Result<Page<File>, Failure> {
    let tenant = access::tenant(scope)?;
    let after: Option<FileId> = query.page.position()?;
    let rows = query.page.rows();
    let found = shared
        .db
        .read(async move |conn: &mut DbConn| Ok(repository::page(conn, tenant, after, rows).await?))
        .await?;
    let page = Page::from_rows(found, &query.page, |row| row.id);
    let items: Result<Vec<File>, Failure> = page.items.into_iter().map(File::try_from).collect();
    Ok(Page { items: items?, next_cursor: page.next_cursor })
}

pub(super) async fn get(shared: &Shared, scope: &Scope, id: FileId) -> Result<File, Failure> {
    File::try_from(stored(shared, access::tenant(scope)?, id).await?)
}

pub(super) async fn link(shared: &Shared, scope: &Scope, id: FileId) -> Result<Link, Failure> {
    let tenant = access::tenant(scope)?;
    let row = stored(shared, tenant, id).await?;
    let usage = LinkUse::Read { file_name: Some(row.name) };
    let key = content::key(tenant, id);
    Ok(shared.blobs.link(&key, usage, shared.config.link_time).await?.into())
}

pub(super) async fn delete(shared: &Shared, scope: &Scope, id: FileId) -> Result<(), Failure> {
    let tenant = access::tenant(scope)?;
    let row = stored(shared, tenant, id).await?;
    access::may_delete(shared, scope, &row).await?;
    let erase = EraseContent { tenant, id, parts_only: false };
    shared
        .db
        .command(scope, async move |uow: &mut UnitOfWork| {
            if !repository::delete(uow.conn(), tenant, id, STORED).await? {
                return Err(FileError::NotFound.into());
            }
            uow.job(Job::new(ERASE_JOB, &erase));
            uow.event(events::of(FILE_DELETED, &row));
            uow.audit(uploads::record(uow.scope(), "files.file.delete", &row));
            Ok(())
        })
        .await
}

async fn stored(shared: &Shared, tenant: TenantId, id: FileId) -> Result<FileRow, Failure> {
    let found = shared
        .db
        .read(async move |conn: &mut DbConn| Ok(repository::find(conn, tenant, id).await?))
        .await?;
    found.filter(|row| row.state == STORED).ok_or_else(|| FileError::NotFound.into())
}
