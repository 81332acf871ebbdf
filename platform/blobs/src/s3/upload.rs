//! Content on its way to S3: in one request, or in parts when it is streamed and large.
//!
//! The digest is metadata of the object and must be known before its first part is sent. Content that
//! came without one is spooled to a file first, which is what it costs not to know it.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::{MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload};
use troupe_kernel::blob::{BlobContent, NewBlob};
use troupe_kernel::ports::BlobInfo;

use super::{S3Blobs, names};
use crate::error::BlobError;
use crate::file_content::FileContent;
use crate::intake::Intake;
use crate::key::BlobKey;
use crate::partial::Partial;

/// Parts of one blob that are sent at once; each is held in memory.
const PARTS_AT_ONCE: usize = 3;
/// How often a write is sent again that conflicts with another of the same key.
const CONFLICTS_MAX: u32 = 6;
/// Before the first time; doubled each time.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

impl S3Blobs {
    pub(super) async fn put_object(
        &self,
        info: BlobInfo,
        content: Bytes,
    ) -> Result<BlobInfo, BlobError> {
        let object = self.0.names.object(&BlobKey::parse(&info.key)?);
        let mut conflicts = 0;
        loop {
            let attributes = names::attributes(&info);
            let options = PutOptions { attributes, ..PutOptions::default() };
            let content = PutPayload::from_bytes(content.clone());
            let sent = self.0.store.put_opts(&object, content, options);
            match self.ask("storing", sent).await {
                Ok(Some(_)) => break,
                // The server says "not found" of a bucket only.
                Ok(None) => return Err(BlobError::Bucket),
                // 409: another write or removal of the key is under way.
                Err(BlobError::S3 {
                    source: object_store::Error::AlreadyExists { .. }, ..
                }) if conflicts < CONFLICTS_MAX => {
                    tokio::time::sleep(CONFLICT_PAUSE * 2_u32.pow(conflicts)).await;
                    conflicts += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(info)
    }

    pub(super) async fn store_stream(
        &self,
        blob: NewBlob,
        content: Box<dyn BlobContent>,
    ) -> Result<BlobInfo, BlobError> {
        let mut intake = Intake::new(blob, content, self.0.part_bytes, self.0.size_max)?;
        let first = intake.chunk().await?.unwrap_or_default();
        let Some(second) = intake.chunk().await? else {
            let (size_bytes, digest) = intake.finish()?;
            let info = self.info_of(intake.blob(), size_bytes, digest);
            return self.put_object(info, first).await;
        };
        match intake.blob().digest.clone() {
            Some(digest) => self.send_parts([first, second], intake, digest).await,
            None => self.spool([first, second], intake).await,
        }
    }

    fn info_of(&self, blob: &NewBlob, size_bytes: u64, digest: String) -> BlobInfo {
        let NewBlob { key, content_type, .. } = blob.clone();
        BlobInfo { key, content_type, size_bytes, digest, stored: self.0.clock.now() }
    }

    async fn send_parts(
        &self,
        first: [Bytes; 2],
        mut intake: Intake,
        digest: String,
    ) -> Result<BlobInfo, BlobError> {
        let mut info = self.info_of(intake.blob(), 0, digest);
        let object = self.0.names.object(&BlobKey::parse(&info.key)?);
        let attributes = names::attributes(&info);
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let begun = self.ask("storing", self.0.store.put_multipart_opts(&object, options));
        let mut upload = begun.await?.ok_or(BlobError::Bucket)?;
        match self.parts(&mut upload, first, &mut intake).await {
            Ok(size_bytes) => {
                info.size_bytes = size_bytes;
                Ok(info)
            }
            Err(error) => {
                // Parts that stay are removed by the bucket's rule for incomplete uploads.
                let aborted = self.ask("giving up", upload.abort()).await;
                if let Err(failure) = aborted {
                    tracing::warn!(key = info.key, error = %failure, "parts of a blob stay on S3");
                }
                Err(error)
            }
        }
    }

    /// Sends all parts and puts them together; answers the length of the whole.
    async fn parts(
        &self,
        upload: &mut Box<dyn MultipartUpload>,
        first: [Bytes; 2],
        intake: &mut Intake,
    ) -> Result<u64, BlobError> {
        let mut sending = FuturesUnordered::new();
        for part in first {
            sending.push(self.ask("storing", upload.put_part(PutPayload::from_bytes(part))));
        }
        while let Some(part) = intake.chunk().await? {
            if sending.len() >= PARTS_AT_ONCE {
                sending.try_next().await?.flatten().ok_or(BlobError::Interrupted)?;
            }
            sending.push(self.ask("storing", upload.put_part(PutPayload::from_bytes(part))));
        }
        while let Some(sent) = sending.try_next().await? {
            sent.ok_or(BlobError::Interrupted)?;
        }
        drop(sending);
        let (size_bytes, _) = intake.finish()?;
        self.ask("storing", upload.complete()).await?.ok_or(BlobError::Interrupted)?;
        Ok(size_bytes)
    }

    /// Writes the content to a file to learn its digest, then sends it from there.
    async fn spool(&self, first: [Bytes; 2], mut intake: Intake) -> Result<BlobInfo, BlobError> {
        let folder = self.0.spool.clone();
        let mut partial = blocking(move || {
            make_folder(&folder)?;
            Partial::create(&folder)
        })
        .await?;
        for chunk in first {
            partial = blocking(move || partial.append(&chunk).map(|()| partial)).await?;
        }
        while let Some(chunk) = intake.chunk().await? {
            partial = blocking(move || partial.append(&chunk).map(|()| partial)).await?;
        }
        let (size_bytes, digest) = intake.finish()?;
        let (partial, file) =
            blocking(move || partial.reader().map(|file| (partial, file))).await?;
        let key = intake.blob().key.clone();
        let content = FileContent::new(key, file, 0..size_bytes, Some(digest.clone()));
        let blob = NewBlob { digest: Some(digest), ..intake.blob().clone() };
        let stored = Box::pin(self.store_stream(blob, Box::new(content))).await;
        drop(partial);
        stored
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BlobError::Interrupted)?
}

fn make_folder(folder: &Path) -> Result<(), BlobError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| BlobError::io("creating", folder, error))
}
