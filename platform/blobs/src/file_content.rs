//! The content of a file, read piece by piece on threads that may block.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use troupe_kernel::blob::BlobContent;
use troupe_kernel::error::Failure;
use troupe_kernel::ports::BoxFuture;

use crate::checks::WholeCheck;
use crate::error::BlobError;

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 256 << 10;

/// A range of an open file.
pub(crate) struct FileContent {
    key: String,
    /// Away while a thread reads; for ever when it was interrupted.
    file: Option<File>,
    left: Range<u64>,
    /// For whole content: compares it with its digest at the end.
    check: Option<WholeCheck>,
}

impl FileContent {
    /// Reads the range; with a digest the range is the whole content and is compared with it.
    pub(crate) fn new(key: String, file: File, range: Range<u64>, digest: Option<String>) -> Self {
        let check = digest.map(WholeCheck::new);
        Self { key, file: Some(file), left: range, check }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, BlobError> {
        if self.left.is_empty() {
            if let Some(check) = self.check.take() {
                check.finish(&self.key)?;
            }
            return Ok(None);
        }
        let mut file = self.file.take().ok_or(BlobError::Interrupted)?;
        let (start, wanted) = (self.left.start, (self.left.end - self.left.start).min(PIECE_BYTES));
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(wanted).unwrap_or(0)];
            let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut piece));
            read.map(|()| (file, Bytes::from(piece)))
        });
        let (file, piece) = read
            .await
            .map_err(|_| BlobError::Interrupted)?
            .map_err(|error| BlobError::io("reading", &self.key, error))?;
        self.file = Some(file);
        self.left.start += piece.len() as u64;
        if let Some(check) = &mut self.check {
            check.take(&piece);
        }
        Ok(Some(piece))
    }
}

impl BlobContent for FileContent {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(async move { Ok(self.piece().await?) })
    }
}
