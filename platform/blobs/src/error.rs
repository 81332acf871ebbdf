//! What can go wrong with blobs, and what of it a caller is told.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use troupe_kernel::error::{Failure, FailureKind};

/// Why a blob could not be stored or read.
#[derive(Debug, Error)]
pub enum BlobError {
    /// The key is not one.
    #[error("`{key}` is not a key of a blob: {reason}")]
    Key {
        /// What was given, cut.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The media type is not one.
    #[error("`{0}` is not a media type")]
    ContentType(String),
    /// The content is larger than allowed.
    #[error("the content has {size_bytes} bytes, and {size_max} are allowed")]
    TooLarge {
        /// What it has.
        size_bytes: u64,
        /// What is allowed.
        size_max: u64,
    },
    /// The content is not what was stored.
    #[error("the content of `{0}` is damaged")]
    Damaged(String),
    /// The directory cannot be used.
    #[error("{action} {} failed", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Too many files are in use at once.
    #[error("too many blobs are read and written at once")]
    Busy,
    /// The thread that did the work is gone.
    #[error("the work on a blob was interrupted")]
    Interrupted,
}

impl BlobError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match &error {
            BlobError::Key { .. } => Self::invalid("blobs.key.invalid", error.to_string()),
            BlobError::ContentType(_) => {
                Self::invalid("blobs.content_type.invalid", error.to_string())
            }
            BlobError::TooLarge { .. } => {
                Self::new(FailureKind::TooLarge, "blobs.content.too_large", error.to_string())
            }
            BlobError::Busy => Self::new(
                FailureKind::Overloaded,
                "blobs.busy",
                "too many blobs are read and written at once; try again shortly",
            ),
            // What follows is about our files: the log has it, the caller does not.
            BlobError::Damaged(key) => {
                tracing::error!(key, "the content of a blob is damaged");
                Self::internal("blobs.content.damaged", "the stored content is damaged")
            }
            BlobError::Io { .. } | BlobError::Interrupted => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the blob directory failed");
                Self::unavailable("blobs.away", "the blob store does not work; try again later")
            }
        }
    }
}
