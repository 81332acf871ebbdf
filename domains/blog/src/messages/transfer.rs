//! Import and export as the API shows them.

use serde::{Deserialize, Serialize};
use troupe_kernel::PageRequest;
use utoipa::ToSchema;

use super::{Post, PostId};

/// A document to import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// Its path below the directory it comes from, such as `guide/intro.md`. The same path again
    /// is the same post.
    pub path: String,
    /// Markdown, with front matter or without.
    pub content: String,
    /// Whether a new post is published when the document does not say.
    #[serde(default)]
    pub publish: bool,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// There is a new post.
    Created,
    /// The post of this document was changed.
    Updated,
    /// The post is already as the document says.
    Unchanged,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// What was done.
    pub outcome: ImportOutcome,
    /// The post, without content.
    pub post: Post,
    /// What the document says but the blog did not use, one sentence each.
    pub warnings: Vec<String>,
}

/// A post as a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportedDocument {
    /// Which post.
    pub id: PostId,
    /// Its version.
    pub version: i64,
    /// The path it was imported from, or one made from its slug.
    pub path: String,
    /// Markdown with YAML front matter.
    pub content: String,
}

/// Imports one document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportDocument {
    /// The document.
    pub document: ImportRequest,
}

/// Answers a page of documents. A page ends early when its documents are large.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportPosts {
    /// Which page.
    pub page: PageRequest,
}
