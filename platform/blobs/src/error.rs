//! What can go wrong with blobs, and what of it a caller is told.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

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
    /// The content is not what its declared type says.
    #[error("the content is declared as {declared} and shows {shown}")]
    Contradicted {
        /// The declared type.
        declared: String,
        /// What the first bytes show.
        shown: &'static str,
    },
    /// The digest is not one.
    #[error("the digest is not SHA-256 in 64 hexadecimal digits of lower case")]
    DigestForm,
    /// The content has another digest than was announced.
    #[error("the content has the digest {0}, another than was announced")]
    Digest(String),
    /// The content has another length than was announced.
    #[error("the content has {found} bytes, and {announced} were announced")]
    Size {
        /// What came.
        found: u64,
        /// What was announced.
        announced: u64,
    },
    /// Whoever gives the content piece by piece failed.
    #[error("the content did not come whole")]
    Source(#[source] Failure),
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
    /// The bucket is not there, or none is named.
    #[error("there is no such bucket; see blobs.url")]
    Bucket,
    /// The certificates to trust cannot be read.
    #[error("{} of blobs.tls_ca_file is not usable: {why}; it must be a PEM file of certificates", path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// S3 failed.
    #[error("{action} on S3 failed")]
    S3 {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: object_store::Error,
    },
    /// S3 did not answer in time.
    #[error("{action} on S3 took more than {} ms", limit.as_millis())]
    Slow {
        /// What was tried.
        action: &'static str,
        /// How long it might take.
        limit: Duration,
    },
    /// S3 was away a moment ago and is not asked again yet.
    #[error("S3 is away")]
    Away,
    /// The link is none of this store, was changed, or has expired.
    #[error("the link is not valid here or has expired")]
    Link,
    /// There is no such blob.
    #[error("there is no such blob")]
    NotFound,
    /// More is asked for by a link than the node holds in memory.
    #[error(
        "{size_bytes} bytes are too many at once; ask for at most 64 MiB by Range: bytes=FROM-TO"
    )]
    LinkTooLarge {
        /// What was asked for.
        size_bytes: u64,
    },
    /// A link is asked for longer than links may be valid.
    #[error("a link is valid for one second to seven days")]
    LinkTime,
    /// Too many files are in use at once.
    #[error("too many blobs are read and written at once")]
    Busy,
    /// The thread that did the work is gone.
    #[error("the work on a blob was interrupted")]
    Interrupted,
}

impl BlobError {
    /// Whether S3 does not answer, as against answering that it refuses.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::Slow { .. } | Self::Away => true,
            Self::S3 { source, .. } => matches!(source, object_store::Error::Generic { .. }),
            _ => false,
        }
    }

    pub(crate) fn s3(action: &'static str, source: object_store::Error) -> Self {
        Self::S3 { action, source }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Key { .. } => Self::invalid("blobs.key.invalid", error.to_string()),
            BlobError::ContentType(_) => {
                Self::invalid("blobs.content_type.invalid", error.to_string())
            }
            BlobError::TooLarge { .. } => {
                Self::new(FailureKind::TooLarge, "blobs.content.too_large", error.to_string())
            }
            BlobError::Contradicted { .. } => {
                Self::invalid("blobs.content_type.contradicted", error.to_string())
            }
            BlobError::DigestForm => Self::invalid("blobs.digest.invalid", error.to_string()),
            BlobError::Digest(_) => Self::invalid("blobs.digest.differs", error.to_string()),
            BlobError::Size { .. } => Self::invalid("blobs.size.differs", error.to_string()),
            BlobError::Link => Self::new(
                FailureKind::Forbidden,
                "blobs.link.invalid",
                "the link was changed or has expired; ask for a new one",
            ),
            BlobError::NotFound => Self::not_found("blobs.not_found", error.to_string()),
            BlobError::LinkTooLarge { .. } => {
                Self::invalid("blobs.link.too_large", error.to_string())
            }
            BlobError::LinkTime => Self::invalid("blobs.link.time", error.to_string()),
            BlobError::Busy => Self::new(
                FailureKind::Overloaded,
                "blobs.busy",
                "too many blobs are read and written at once; try again shortly",
            ),
            // What follows is about our files: the log has it, the caller does not.
            BlobError::Damaged(ref key) => {
                tracing::error!(key, "the content of a blob is damaged");
                Self::internal("blobs.content.damaged", "the stored content is damaged")
            }
            BlobError::Io { .. }
            | BlobError::Bucket
            | BlobError::Trust { .. }
            | BlobError::S3 { .. }
            | BlobError::Slow { .. }
            | BlobError::Interrupted => {
                let shown: &dyn std::error::Error = &error;
                tracing::error!(error = shown, "the blob store failed");
                away()
            }
            // Said once when it went away.
            BlobError::Away => away(),
            BlobError::Source(failure) => failure,
        }
    }
}

fn away() -> Failure {
    Failure::unavailable("blobs.away", "the blob store does not work; try again later")
}

/// An error with its causes, for people who run the node.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors repeat their cause.
        if !told.ends_with(&next) {
            told.push_str(&format!(": {next}"));
        }
        cause = error.source();
    }
    if told.contains(CERTIFICATE) {
        told.push_str(
            "; blobs.tls_ca_file must name the certificate that the server's leads to, and \
             blobs.endpoint the host that it names",
        );
    }
    told
}

/// How rustls begins what it says of the certificate of a server.
const CERTIFICATE: &str = "invalid peer certificate";
