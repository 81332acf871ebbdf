//! Why a file or an upload is refused, and the [`Failure`] that says so.

use thiserror::Error;
use troupe_kernel::{Failure, FailureKind};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FileError {
    /// Nobody is signed in.
    #[error("sign in to use files")]
    NoPrincipal,
    /// The principal works in no organisation.
    #[error("choose an organisation to use files")]
    NoTenant,
    /// No such file in this organisation.
    #[error("there is no such file here")]
    NotFound,
    /// No such upload of this principal.
    #[error("there is no such upload of yours here; begin a new one")]
    NoUpload,
    /// The authorizer says no.
    #[error("{0}")]
    Denied(String),
    /// The name is not one.
    #[error("a name has 1 to 200 characters on one line")]
    Name,
    /// The length is not one.
    #[error("a file has 0 to {0} bytes")]
    Size(u64),
    /// The organisation has no room left.
    #[error("the organisation's files may have {0} bytes together; delete some first")]
    Quota(u64),
    /// Too many uploads are open.
    #[error("{0} uploads are open; complete or abort some first")]
    Open(u32),
    /// The content has no such part.
    #[error("the announced content has no such part; the first is 1")]
    PartNumber,
    /// The part has another length than it must.
    #[error("this part has {expected} bytes, not {found}")]
    PartSize {
        /// What it must have.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Not all of the content is there.
    #[error(
        "{found} of {announced} bytes are here without a gap; send the rest and complete again"
    )]
    Incomplete {
        /// Bytes of the parts from the first on.
        found: u64,
        /// Bytes that were announced.
        announced: u64,
    },
    /// What came is not what was announced.
    #[error("the content is not what was announced; begin a new upload")]
    Differs,
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        use FailureKind as K;
        use FileError as E;
        let (kind, code) = match &error {
            E::NoPrincipal => (K::Unauthenticated, "files.principal.missing"),
            E::NoTenant => (K::Forbidden, "files.tenant.missing"),
            E::NotFound => (K::NotFound, "files.file.not_found"),
            E::NoUpload => (K::NotFound, "files.upload.not_found"),
            E::Denied(_) => (K::Forbidden, "files.access.denied"),
            E::Name => (K::Invalid, "files.name.invalid"),
            E::Size(_) => (K::TooLarge, "files.size.invalid"),
            E::Quota(_) => (K::Conflict, "files.quota"),
            E::Open(_) => (K::Conflict, "files.uploads.open"),
            E::PartNumber => (K::Invalid, "files.part.number"),
            E::PartSize { .. } => (K::Invalid, "files.part.size"),
            E::Incomplete { .. } => (K::Conflict, "files.upload.incomplete"),
            E::Differs => (K::Conflict, "files.upload.differs"),
        };
        Self::new(kind, code, error.to_string())
    }
}
