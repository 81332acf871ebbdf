//! The actor of files.
//!
//! Mailbox: 64, because each message may hold a part; `files.workers` workers; permanent. A crash loses
//! the message at hand: parts that came stay, a completion is repeated by the caller.

mod access;
mod content;
mod kept;
mod uploads;

use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Service};
use troupe_database::Db;
use troupe_kernel::{Authorizer, BlobStore};

use crate::config::FilesConfig;
use crate::messages::FileMessage;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) db: Db,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) config: FilesConfig,
}

/// One worker.
pub(crate) struct Files {
    shared: Arc<Shared>,
}

impl Files {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Service for Files {
    type Message = FileMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<FileMessage>,
        ctx: &mut Context<FileMessage>,
    ) -> Handled {
        let scope = ctx.scope().clone();
        let shared = self.shared.as_ref();
        match &**message {
            FileMessage::BeginUpload(command) => {
                let upload = uploads::begin(shared, &scope, command).await?;
                ctx.reply(command, upload)
            }
            FileMessage::GetUpload(query) => {
                let upload = uploads::get(shared, &scope, query.id).await?;
                ctx.reply(query, upload)
            }
            FileMessage::PutPart(command) => {
                let part = uploads::put_part(shared, &scope, command).await?;
                ctx.reply(command, part)
            }
            FileMessage::CompleteUpload(command) => {
                let file = uploads::complete(shared, &scope, command.id).await?;
                ctx.reply(command, file)
            }
            FileMessage::AbortUpload(command) => {
                uploads::abort(shared, &scope, command.id).await?;
                ctx.reply(command, ())
            }
            FileMessage::ListFiles(query) => {
                let page = kept::list(shared, &scope, query).await?;
                ctx.reply(query, page)
            }
            FileMessage::GetFile(query) => {
                let file = kept::get(shared, &scope, query.id).await?;
                ctx.reply(query, file)
            }
            FileMessage::LinkFile(query) => {
                let link = kept::link(shared, &scope, query.id).await?;
                ctx.reply(query, link)
            }
            FileMessage::DeleteFile(command) => {
                kept::delete(shared, &scope, command.id).await?;
                ctx.reply(command, ())
            }
            FileMessage::EraseContent(command) => {
                content::erase(shared, command).await?;
                ctx.reply(command, ())
            }
            FileMessage::SweepContent(command) => {
                let removed = content::sweep(shared, &scope).await?;
                ctx.reply(command, removed)
            }
            FileMessage::SweepUploads(command) => {
                let removed = uploads::sweep(shared, &scope).await?;
                ctx.reply(command, removed)
            }
        }
    }
}
