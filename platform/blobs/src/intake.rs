//! Content on its way in: counted, limited, hashed, and compared with what was said of it.

use bytes::{Bytes, BytesMut};
use ring::digest::{Context, SHA256};
use troupe_kernel::blob::{BlobContent, NewBlob};

use crate::checks::{self, SNIFFED_BYTES};
use crate::error::BlobError;
use crate::key::BlobKey;

/// Takes the content of one blob in chunks of one size.
pub(crate) struct Intake {
    blob: NewBlob,
    content: Box<dyn BlobContent>,
    chunk_bytes: usize,
    /// What came beyond the last chunk.
    rest: BytesMut,
    hash: Context,
    size_bytes: u64,
    ended: bool,
}

impl Intake {
    /// Checks what is said of the blob; `size_max` is the limit of the store.
    pub(crate) fn new(
        mut blob: NewBlob,
        content: Box<dyn BlobContent>,
        chunk_bytes: usize,
        size_max: u64,
    ) -> Result<Self, BlobError> {
        BlobKey::parse(&blob.key)?;
        checks::content_type(&blob.content_type)?;
        if let Some(digest) = &blob.digest {
            checks::digest(digest)?;
        }
        blob.size_max = blob.size_max.min(size_max);
        let chunk_bytes = chunk_bytes.max(SNIFFED_BYTES);
        let (rest, hash) = (BytesMut::new(), Context::new(&SHA256));
        Ok(Self { blob, content, chunk_bytes, rest, hash, size_bytes: 0, ended: false })
    }

    pub(crate) fn blob(&self) -> &NewBlob {
        &self.blob
    }

    /// The next chunk; all have the same size but the last. None at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        while !self.ended && self.rest.len() < self.chunk_bytes {
            match self.content.next().await.map_err(BlobError::Source)? {
                Some(piece) => {
                    let found = self.size_bytes + (self.rest.len() + piece.len()) as u64;
                    checks::size(found, self.blob.size_max)?;
                    self.rest.extend_from_slice(&piece);
                }
                None => self.ended = true,
            }
        }
        if self.size_bytes == 0 {
            let first = &self.rest[..self.rest.len().min(SNIFFED_BYTES)];
            checks::sniff(&self.blob.content_type, first)?;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let chunk = self.rest.split_to(self.rest.len().min(self.chunk_bytes)).freeze();
        self.size_bytes += chunk.len() as u64;
        self.hash.update(&chunk);
        Ok(Some(chunk))
    }

    /// The length and the digest of all that came, which must be the announced one.
    pub(crate) fn finish(&self) -> Result<(u64, String), BlobError> {
        let digest = checks::hex(self.hash.clone().finish().as_ref());
        checks::same(self.blob.digest.as_deref(), &digest)?;
        Ok((self.size_bytes, digest))
    }
}
