//! What everybody may read.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use troupe_kernel::{PageRequest, TenantId, Timestamp};
use utoipa::ToSchema;

use super::PostId;

/// An encoded answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Served {
    /// The answer.
    Fresh {
        /// Its media type.
        content_type: String,
        /// Its entity tag, without quotes.
        etag: String,
        /// The bytes.
        body: Bytes,
        /// Whether the bytes under this address never change.
        immutable: bool,
    },
    /// The caller has it already.
    NotModified {
        /// The entity tag, without quotes.
        etag: String,
        /// Whether the bytes under this address never change.
        immutable: bool,
    },
    /// It is found under another address now.
    Moved {
        /// The path of that address.
        location: String,
    },
}

/// A published post as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicPost {
    /// Which post.
    pub id: PostId,
    /// Its slug.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The excerpt.
    pub summary: String,
    /// Sanitised HTML.
    pub html: String,
    /// The tags.
    pub tags: Vec<String>,
    /// The name of the author; empty when the account is gone.
    pub author: String,
    /// Whether readers may comment.
    pub comments_enabled: bool,
    /// When it was published.
    pub published_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A published post in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicSummary {
    /// Which post.
    pub id: PostId,
    /// Its slug.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The excerpt.
    pub summary: String,
    /// The tags.
    pub tags: Vec<String>,
    /// The name of the author; empty when the account is gone.
    pub author: String,
    /// When it was published.
    pub published_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Which feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedFormat {
    /// Atom (RFC 4287).
    Atom,
    /// RSS 2.0.
    Rss,
    /// sitemaps.org 0.9.
    Sitemap,
}

impl FeedFormat {
    /// The file's name in the address.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Atom => "feed.atom",
            Self::Rss => "feed.rss",
            Self::Sitemap => "sitemap.xml",
        }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Atom => "application/atom+xml; charset=utf-8",
            Self::Rss => "application/rss+xml; charset=utf-8",
            Self::Sitemap => "application/xml; charset=utf-8",
        }
    }
}

/// Answers a published post by its slug.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadPublicPost {
    /// The organisation's slug.
    pub organisation: String,
    /// The post's slug, current or old.
    pub slug: String,
    /// The entity tags the caller has (`If-None-Match`).
    pub known: Option<String>,
}

/// Answers a page of published posts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListPublicPosts {
    /// The organisation's slug.
    pub organisation: String,
    /// Only posts with this tag.
    pub tag: Option<String>,
    /// Which page.
    pub page: PageRequest,
    /// The entity tags the caller has (`If-None-Match`).
    pub known: Option<String>,
}

/// Answers a page of tags of published posts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListPublicTags {
    /// The organisation's slug.
    pub organisation: String,
    /// Which page.
    pub page: PageRequest,
    /// The entity tags the caller has (`If-None-Match`).
    pub known: Option<String>,
}

/// Answers a page of published posts that match.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchPublic {
    /// The organisation's slug.
    pub organisation: String,
    /// What is searched for.
    pub query: String,
    /// Which page.
    pub page: PageRequest,
    /// The entity tags the caller has (`If-None-Match`).
    pub known: Option<String>,
}

/// Answers a feed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadFeed {
    /// The organisation's slug.
    pub organisation: String,
    /// Which feed.
    pub format: FeedFormat,
    /// The entity tags the caller has (`If-None-Match`).
    pub known: Option<String>,
}

/// Answers a page of approved comments on a published post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListPublicComments {
    /// The organisation's slug.
    pub organisation: String,
    /// The post's slug.
    pub slug: String,
    /// Which page.
    pub page: PageRequest,
    /// The entity tags the caller has (`If-None-Match`).
    pub known: Option<String>,
}

/// Forgets what the cache holds of a post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForgetPost {
    /// The tenant.
    pub tenant: TenantId,
    /// Which post.
    pub post: PostId,
}

/// Forgets what the cache holds of an organisation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForgetOrganisation {
    /// The tenant.
    pub tenant: TenantId,
}
