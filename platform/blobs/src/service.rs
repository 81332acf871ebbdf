//! The actor that serves links and sweeps.
//!
//! Mailbox: 64, because each message may hold a blob; four workers; permanent. A crash loses the
//! message at hand: a link works again, the sweep comes again.

use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Service};
use troupe_kernel::blob::LinkUse;
use troupe_kernel::error::Failure;
use troupe_kernel::ports::{BlobInfo, BlobStore};

use crate::checks;
use crate::error::BlobError;
use crate::links::{BYTES_MAX, Claim};
use crate::messages::{BlobMessage, Linked, ReadByLink, WriteByLink};
use crate::store::Blobs;

/// One worker.
pub(crate) struct BlobService {
    blobs: Blobs,
    store: Arc<dyn BlobStore>,
}

impl BlobService {
    pub(crate) fn new(blobs: Blobs) -> Self {
        let store = blobs.port();
        Self { blobs, store }
    }

    async fn read(&self, query: &ReadByLink) -> Result<Linked, Failure> {
        let Claim { key, usage, .. } = self.blobs.redeem(&query.token).await?;
        let LinkUse::Read { file_name } = usage else { return Err(BlobError::Link.into()) };
        let reader = self.store.read(&key, query.range.clone()).await?;
        let mut reader = reader.ok_or(BlobError::NotFound)?;
        let size_bytes = reader.range.end - reader.range.start;
        if size_bytes > BYTES_MAX {
            return Err(BlobError::LinkTooLarge { size_bytes }.into());
        }
        let mut content = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
        while let Some(piece) = reader.content.next().await? {
            content.extend_from_slice(&piece);
        }
        let (info, range) = (reader.info, reader.range);
        Ok(Linked { info, range, content: content.into(), file_name })
    }

    async fn write(&self, command: &WriteByLink) -> Result<BlobInfo, Failure> {
        let claim = self.blobs.redeem(&command.token).await?;
        let found = command.content.len() as u64;
        claim.admits(command.content_type.as_deref(), Some(found))?;
        let Claim { key, usage, .. } = claim;
        let LinkUse::Write { content_type, digest, .. } = usage else {
            return Err(BlobError::Link.into());
        };
        checks::same(Some(&digest), &checks::sha256(&command.content))?;
        self.store.put(&key, &content_type, command.content.clone()).await
    }
}

impl Service for BlobService {
    type Message = BlobMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<BlobMessage>,
        ctx: &mut Context<BlobMessage>,
    ) -> Handled {
        match &**message {
            BlobMessage::ReadByLink(query) => {
                let linked = self.read(query).await?;
                ctx.reply(query, linked)
            }
            BlobMessage::WriteByLink(command) => {
                let info = self.write(command).await?;
                ctx.reply(command, info)
            }
            BlobMessage::SweepBlobs(command) => {
                let removed = self.blobs.sweep().await.map_err(Failure::from)?;
                tracing::info!(removed, "the blob store was swept");
                ctx.reply(command, removed)
            }
        }
    }
}
