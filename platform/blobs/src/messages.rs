//! What the blob service understands: links of the local directory, and the sweep.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use troupe_actors::protocol;
use troupe_kernel::ports::BlobInfo;

/// Answers the blob of a link, or a range of its bytes.
///
/// Fails with `blobs.link.invalid`, `blobs.not_found`, `blobs.range.invalid`, `blobs.link.too_large`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadByLink {
    /// The token of the link.
    pub token: String,
    /// The bytes that are wanted; all of them without.
    pub range: Option<Range<u64>>,
}

/// A blob that was read by a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// What is known of it.
    pub info: BlobInfo,
    /// The bytes that were read.
    pub range: Range<u64>,
    /// Those bytes.
    pub content: Bytes,
    /// The file name that it is saved under.
    pub file_name: Option<String>,
}

/// Stores the content that a link announces.
///
/// Fails with `blobs.link.invalid`, `blobs.size.differs`, `blobs.digest.differs` and what the store
/// refuses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteByLink {
    /// The token of the link.
    pub token: String,
    /// The media type of the request, which must be the announced one.
    pub content_type: Option<String>,
    /// The content.
    pub content: Bytes,
}

/// Removes what crashes left in the store; answers how much. The job `blobs.sweep`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SweepBlobs {}

protocol! {
    /// What the blob service understands.
    pub enum BlobMessage("blobs", 1) redact ["token", "content"] {
        /// Answers the blob of a link.
        ReadByLink => Linked,
        /// Stores the content of a link.
        WriteByLink => BlobInfo,
        /// Removes what crashes left.
        SweepBlobs => u64,
    }
}
