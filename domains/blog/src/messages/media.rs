//! Uploads as the API shows them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use troupe_kernel::{PageRequest, TenantId, Timestamp, UserId};
use utoipa::ToSchema;

use super::MediaId;
pub use crate::content::media_type::MediaType;

/// What is known of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Media {
    /// Which upload.
    pub id: MediaId,
    /// The file's name.
    pub name: String,
    /// What it is, told from its content.
    pub content_type: MediaType,
    /// Its length in bytes.
    pub size_bytes: i64,
    /// SHA-256 of its content in hexadecimal.
    pub digest: String,
    /// Who uploaded it.
    pub uploader: UserId,
    /// When.
    pub created_at: Timestamp,
}

/// Keeps an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UploadMedia {
    /// The file's name.
    pub name: String,
    /// The content.
    pub content: Bytes,
}

/// Answers a page of uploads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListMedia {
    /// Which page.
    pub page: PageRequest,
}

/// Answers the content of an upload to a member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadMedia {
    /// Which upload.
    pub id: MediaId,
    /// The entity tags the caller has (`If-None-Match`).
    pub known: Option<String>,
}

/// Answers the content of an upload to anybody.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadPublicMedia {
    /// The organisation's slug.
    pub organisation: String,
    /// Which upload.
    pub id: MediaId,
    /// The entity tags the caller has (`If-None-Match`).
    pub known: Option<String>,
}

/// Deletes an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteMedia {
    /// Which upload.
    pub id: MediaId,
}

/// Removes the content of a deleted upload; the payload of the job `blog.erase_media`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseBlob {
    /// The tenant.
    pub tenant: TenantId,
    /// Which upload.
    pub media: MediaId,
}

/// Removes contents whose upload was never completed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SweepMedia {}
