//! The events of files.

use serde::{Deserialize, Serialize};
use troupe_kernel::Event;

use crate::messages::FileId;
use crate::repository::FileRow;

/// An upload became a file.
pub const FILE_STORED: &str = "files.file.stored";
/// A file was deleted.
pub const FILE_DELETED: &str = "files.file.deleted";

/// Payload of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEvent {
    /// The file.
    pub file: FileId,
    /// Its media type.
    pub content_type: String,
    /// Its length in bytes.
    pub size_bytes: i64,
    /// SHA-256 of its content in hexadecimal.
    pub digest: String,
}

/// The event of a file.
#[must_use]
pub fn of(kind: &str, row: &FileRow) -> Event {
    let file: FileId = row.id.to();
    let data = FileEvent {
        file,
        content_type: row.content_type.clone(),
        size_bytes: row.size_bytes,
        digest: row.digest.clone(),
    };
    Event::new(kind, file, &data).tenant(row.tenant_id.to())
}
