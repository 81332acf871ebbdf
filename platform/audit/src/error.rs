//! What can go wrong with the trail, and the failure a caller gets for it.

use std::path::PathBuf;

use thiserror::Error;
use troupe_kernel::Failure;

/// Why the trail cannot be kept or verified.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The key file cannot be read or written.
    #[error(
        "the audit key {} cannot be used: {error}; make it readable by this user alone or set audit.key_file",
        path.display()
    )]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// The text holds no key.
    #[error(
        "this is not an Ed25519 key in PEM form (PKCS#8 for a private key, SPKI for a public one)"
    )]
    BadKey,
    /// The database holds a trail of another node.
    #[error(
        "the audit trail in this database was signed by the key {signed_by}, which this node does \
         not have; use the data directory of the node that kept it, or name its key in \
         audit.key_file, or its public key in audit.former_keys"
    )]
    ForeignTrail {
        /// Id of the key that signed last.
        signed_by: String,
    },
    /// The system gave no randomness.
    #[error("the system gave no randomness for a new audit key")]
    NoRandomness,
    /// The anchor file cannot be read or written.
    #[error("the audit anchor {} cannot be used: {error}; check audit.anchor_file", path.display())]
    Anchor {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// An entry of this sequence is not there.
    #[error("there is no entry {0} in this trail")]
    EntryNotFound(u64),
    /// A record is larger than the trail takes outside of a transaction.
    #[error("the record has {bytes} bytes of detail; at most {most} are kept")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// The most allowed.
        most: usize,
    },
    /// The time range is empty.
    #[error("`from` must be before `until`")]
    EmptyRange,
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        let detail = error.to_string();
        match error {
            AuditError::KeyFile { .. }
            | AuditError::BadKey
            | AuditError::ForeignTrail { .. }
            | AuditError::NoRandomness => Self::internal("audit.key.unusable", detail),
            AuditError::Anchor { .. } => Self::internal("audit.anchor.unusable", detail),
            AuditError::EntryNotFound(_) => Self::not_found("audit.entry.not_found", detail),
            AuditError::RecordTooLarge { .. } => Self::invalid("audit.record.too_large", detail),
            AuditError::EmptyRange => {
                Self::invalid("audit.range.empty", detail.clone()).field("from", detail)
            }
        }
    }
}
