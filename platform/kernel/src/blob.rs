//! Blobs: what is known of one, how its content travels, and the port of their store.
//!
//! Content travels whole ([`Bytes`]) or piece by piece ([`BlobContent`]); a store never holds more of
//! a streamed blob in memory than a few pieces. It is no file system: a key names one content.

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use troupe_actors::{Failure, FailureKind};

use crate::clock::Timestamp;
use crate::pagination::{Page, PageRequest};
use crate::ports::BoxFuture;

/// What is known of a stored blob without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobInfo {
    /// Its key, segments separated by `/`.
    pub key: String,
    /// Its media type.
    pub content_type: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its content in hex; also its entity tag.
    pub digest: String,
    /// When it was stored.
    pub stored: Timestamp,
}

/// A blob with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What is known of it.
    pub info: BlobInfo,
    /// The content.
    pub content: Bytes,
}

/// Content that comes piece by piece.
pub trait BlobContent: Send {
    /// The next piece; none at the end. Pieces may be of any size. After an error nothing comes.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>>;
}

/// Content that is there already comes in one piece.
impl BlobContent for Bytes {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        let piece = std::mem::take(self);
        Box::pin(async move { Ok((!piece.is_empty()).then_some(piece)) })
    }
}

/// What is said of a blob before its content comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlob {
    /// Its key.
    pub key: String,
    /// Its media type, which the content must not contradict.
    pub content_type: String,
    /// The most bytes that are taken; the store's own limit holds besides.
    pub size_max: u64,
    /// SHA-256 in hex, when it is known: other content is refused.
    pub digest: Option<String>,
}

/// A blob, or a range of it, that is read piece by piece.
pub struct BlobReader {
    /// What is known of the whole blob.
    pub info: BlobInfo,
    /// The bytes that come, counted from the start of the blob.
    pub range: Range<u64>,
    /// The bytes. A whole blob that is damaged ends with an error; a range cannot tell.
    pub content: Box<dyn BlobContent>,
}

/// What a link lets its holder do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkUse {
    /// Read a blob.
    Read {
        /// The file name that a browser saves it under; none lets the browser show it.
        file_name: Option<String>,
    },
    /// Store exactly this content under the key.
    Write {
        /// Its media type.
        content_type: String,
        /// Its length in bytes.
        size_bytes: u64,
        /// SHA-256 of it in hex.
        digest: String,
    },
}

/// A request that its holder may make without an account, until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobLink {
    /// `GET` or `PUT`.
    pub method: String,
    /// Where. A path without a host is one of this node.
    pub url: String,
    /// Header fields that the request must have, with exactly these values.
    pub headers: Vec<(String, String)>,
    /// When the link stops to work.
    pub expires: Timestamp,
}

/// A store of blobs.
///
/// The methods with a body are for stores that hold everything in memory.
pub trait BlobStore: Send + Sync {
    /// Stores a blob; an earlier one of the same key is replaced.
    fn put<'a>(
        &'a self,
        key: &'a str,
        content_type: &'a str,
        content: Bytes,
    ) -> BoxFuture<'a, Result<BlobInfo, Failure>>;
    /// Reads a blob; none when there is none.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Blob>, Failure>>;
    /// Removes a blob; removing one that is not there is fine.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>>;
    /// The blobs whose key starts with `prefix`, in order of keys.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<BlobInfo>, Failure>>;

    /// What is known of a blob; none when there is none.
    fn info<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<BlobInfo>, Failure>> {
        Box::pin(async move { Ok(self.get(key).await?.map(|blob| blob.info)) })
    }

    /// What is known of a blob that a link to write may have stored, once its content was compared with
    /// its declared type; what contradicts it is removed and refused. Stores whose links pass through
    /// [`put`](Self::put) compared it before.
    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<BlobInfo>, Failure>> {
        self.info(key)
    }

    /// Stores a blob whose content comes piece by piece; nothing is stored unless all of it is.
    fn put_stream<'a>(
        &'a self,
        blob: NewBlob,
        mut content: Box<dyn BlobContent>,
    ) -> BoxFuture<'a, Result<BlobInfo, Failure>> {
        Box::pin(async move {
            let mut whole = BytesMut::new();
            while let Some(piece) = content.next().await? {
                if (whole.len() + piece.len()) as u64 > blob.size_max {
                    let detail = format!("the content has more than {} bytes", blob.size_max);
                    return Err(Failure::new(
                        FailureKind::TooLarge,
                        "blobs.content.too_large",
                        detail,
                    ));
                }
                whole.extend_from_slice(&piece);
            }
            self.put(&blob.key, &blob.content_type, whole.freeze()).await
        })
    }

    /// Reads a blob, or a range of its bytes, piece by piece; none when there is none. A range that
    /// reaches beyond the end is cut; one that begins there or is empty is `blobs.range.invalid`.
    fn read<'a>(
        &'a self,
        key: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, Result<Option<BlobReader>, Failure>> {
        Box::pin(async move {
            let Some(Blob { info, content }) = self.get(key).await? else { return Ok(None) };
            let range = bounded(range, info.size_bytes)?;
            let bound = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let content = content.slice(bound(range.start)..bound(range.end));
            Ok(Some(BlobReader { info, range, content: Box::new(content) }))
        })
    }

    /// A link to one blob that works for `valid`.
    fn link<'a>(
        &'a self,
        key: &'a str,
        usage: LinkUse,
        valid: Duration,
    ) -> BoxFuture<'a, Result<BlobLink, Failure>> {
        let _ = (key, usage, valid);
        Box::pin(async {
            Err(Failure::unavailable("blobs.links.none", "this blob store gives no links"))
        })
    }
}

/// The part of a range that a blob of `size_bytes` has; the whole without a range.
///
/// # Errors
/// `blobs.range.invalid` when it has none of it.
pub fn bounded(range: Option<Range<u64>>, size_bytes: u64) -> Result<Range<u64>, Failure> {
    let Some(range) = range else { return Ok(0..size_bytes) };
    let end = range.end.min(size_bytes);
    if range.start >= end {
        return Err(Failure::invalid(
            "blobs.range.invalid",
            format!("the range holds none of the {size_bytes} bytes of the blob"),
        ));
    }
    Ok(range.start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_what_is_there() {
        assert_eq!(bounded(None, 5), Ok(0..5));
        assert_eq!(bounded(None, 0), Ok(0..0));
        assert_eq!(bounded(Some(2..9), 5), Ok(2..5));
        for range in [5..9, 3..3, 0..0] {
            let failure = bounded(Some(range), 5).unwrap_err();
            assert_eq!(failure.code(), "blobs.range.invalid");
        }
    }
}
