//! The content of an object, as S3 sends it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use troupe_kernel::blob::BlobContent;
use troupe_kernel::error::Failure;
use troupe_kernel::ports::BoxFuture;

use crate::checks::WholeCheck;
use crate::error::BlobError;

/// The body of an answer, piece by piece.
pub(crate) struct ObjectContent {
    pub(crate) key: String,
    pub(crate) pieces: BoxStream<'static, object_store::Result<Bytes>>,
    /// How long one piece may take.
    pub(crate) piece_within: Duration,
    /// For whole content: compares it with its digest at the end.
    pub(crate) check: Option<WholeCheck>,
}

impl ObjectContent {
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, BlobError> {
        let next = tokio::time::timeout(self.piece_within, self.pieces.next());
        let slow = |_| BlobError::Slow { action: "reading", limit: self.piece_within };
        match next.await.map_err(slow)? {
            Some(Ok(piece)) => {
                if let Some(check) = &mut self.check {
                    check.take(&piece);
                }
                Ok(Some(piece))
            }
            Some(Err(error)) => Err(BlobError::s3("reading", error)),
            None => {
                if let Some(check) = self.check.take() {
                    check.finish(&self.key)?;
                }
                Ok(None)
            }
        }
    }
}

impl BlobContent for ObjectContent {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(async move { Ok(self.piece().await?) })
    }
}
