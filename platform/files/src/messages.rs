//! What files understand: uploads step by step, files, and the jobs that clean up.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use troupe_actors::protocol;
use troupe_kernel::ports::BlobLink;
use troupe_kernel::{Page, PageRequest, TenantId, Timestamp, UserId};
use utoipa::ToSchema;

troupe_kernel::typed_id! {
    /// Which file; also which upload, until it is one.
    FileId
}

/// A file as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// Which file.
    pub id: FileId,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its length in bytes.
    pub size_bytes: i64,
    /// SHA-256 of its content in hexadecimal.
    pub digest: String,
    /// Who uploaded it.
    pub owner: UserId,
    /// When its content was whole.
    pub stored_at: Timestamp,
}

/// A part of an upload that has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of it in hexadecimal.
    pub digest: String,
}

/// A request that stores or reads content without an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// `GET` or `PUT`.
    pub method: String,
    /// Where; a path without a host is one of this API.
    pub url: String,
    /// Header fields that the request must have.
    pub headers: Vec<Field>,
    /// When it stops to work.
    pub expires: Timestamp,
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl From<BlobLink> for Link {
    fn from(link: BlobLink) -> Self {
        let headers = link.headers.into_iter().map(|(name, value)| Field { name, value }).collect();
        Self { method: link.method, url: link.url, headers, expires: link.expires }
    }
}

/// An upload that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// Which upload; the file will have the same id.
    pub id: FileId,
    /// The file's name.
    pub name: String,
    /// Its announced media type.
    pub content_type: String,
    /// Its announced length in bytes.
    pub size_bytes: i64,
    /// Its announced digest.
    pub digest: String,
    /// The length of each part but the last, in bytes.
    pub part_size_bytes: i64,
    /// The parts that have come; an upload that broke off goes on with the next.
    pub parts: Vec<Part>,
    /// Stores all of the content in one request, instead of parts.
    pub link: Option<Link>,
    /// When it is removed unless it is completed.
    pub expires_at: Timestamp,
}

/// Begins an upload.
///
/// Fails with `files.name.invalid`, `files.size.invalid`, `files.quota`, `files.uploads.open` and what the
/// store refuses of type and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginUpload {
    /// The file's name.
    pub name: String,
    /// Its media type, which its content must show.
    pub content_type: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its content in hexadecimal.
    pub digest: String,
}

/// Answers an upload of the caller.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetUpload {
    /// Which upload.
    pub id: FileId,
}

/// Keeps a part; one of the same number is replaced.
///
/// Fails with `files.upload.not_found`, `files.part.number`, `files.part.size`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PutPart {
    /// Which upload.
    pub id: FileId,
    /// Which part, from 1.
    pub number: u32,
    /// Its content.
    pub content: Bytes,
}

/// Makes a file of an upload whose content is all there. Repeating it answers the file.
///
/// Fails with `files.upload.incomplete`, `files.upload.differs`, `blobs.digest.differs`,
/// `blobs.content_type.contradicted`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CompleteUpload {
    /// Which upload.
    pub id: FileId,
}

/// Gives up an upload; its parts are removed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AbortUpload {
    /// Which upload.
    pub id: FileId,
}

/// Answers files, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListFiles {
    /// Which page.
    pub page: PageRequest,
}

/// Answers one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetFile {
    /// Which file.
    pub id: FileId,
}

/// Answers a link that reads a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkFile {
    /// Which file.
    pub id: FileId,
}

/// Deletes a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteFile {
    /// Which file.
    pub id: FileId,
}

/// Removes content from the store; the payload of the job `files.erase`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseContent {
    /// The tenant.
    pub tenant: TenantId,
    /// Which file or upload.
    pub id: FileId,
    /// The parts only: the file stays.
    pub parts_only: bool,
}

/// Removes uploads that were never completed; answers how many.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SweepUploads {}

/// Removes content that no file and no upload has (a link outlives what it was made for); answers how much.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SweepContent {}

protocol! {
    /// What files understand.
    pub enum FileMessage("files", 1) redact ["content", "link", "url"] {
        /// Begins an upload.
        BeginUpload => Upload,
        /// Answers an upload.
        GetUpload => Upload,
        /// Keeps a part.
        PutPart => Part,
        /// Makes a file of an upload.
        CompleteUpload => File,
        /// Gives up an upload.
        AbortUpload => (),
        /// Answers files.
        ListFiles => Page<File>,
        /// Answers one file.
        GetFile => File,
        /// Answers a link to a file.
        LinkFile => Link,
        /// Deletes a file.
        DeleteFile => (),
        /// Removes content.
        EraseContent => (),
        /// Removes uploads that were never completed.
        SweepUploads => u64,
        /// Removes content that nothing has.
        SweepContent => u64,
    }
}
