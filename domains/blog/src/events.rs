//! The events of the blog: kinds and payloads.
//!
//! The subject is the post's id (for media the upload's), so that the events of one post keep their
//! order. Payloads say what changed, never the content.

use serde::{Deserialize, Serialize};
use troupe_kernel::{Event, TenantId, Timestamp};

use crate::content::status::{CommentStatus, PostStatus};
use crate::messages::{CommentId, MediaId, PostId};
use crate::repository::posts::PostRow;

/// A post was created.
pub const POST_CREATED: &str = "blog.post.created";
/// Content, slug, tags or settings of a post changed.
pub const POST_UPDATED: &str = "blog.post.updated";
/// A post became public.
pub const POST_PUBLISHED: &str = "blog.post.published";
/// A post was taken back to draft.
pub const POST_UNPUBLISHED: &str = "blog.post.unpublished";
/// A post was given a time at which it becomes public.
pub const POST_SCHEDULED: &str = "blog.post.scheduled";
/// A scheduled post was taken back to draft.
pub const POST_UNSCHEDULED: &str = "blog.post.unscheduled";
/// A post was deleted with everything that belongs to it.
pub const POST_DELETED: &str = "blog.post.deleted";
/// A comment was written.
pub const COMMENT_SUBMITTED: &str = "blog.comment.submitted";
/// A comment was approved.
pub const COMMENT_APPROVED: &str = "blog.comment.approved";
/// A comment was rejected.
pub const COMMENT_REJECTED: &str = "blog.comment.rejected";
/// A comment was marked as spam.
pub const COMMENT_MARKED_SPAM: &str = "blog.comment.marked_spam";
/// A comment was put back to waiting.
pub const COMMENT_REOPENED: &str = "blog.comment.reopened";
/// A comment was deleted.
pub const COMMENT_DELETED: &str = "blog.comment.deleted";
/// Something was uploaded.
pub const MEDIA_UPLOADED: &str = "blog.media.uploaded";
/// An upload was deleted.
pub const MEDIA_DELETED: &str = "blog.media.deleted";

/// Payload of the `blog.post.*` events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostEvent {
    /// The post.
    pub post: PostId,
    /// Its version after the change.
    pub version: i64,
    /// Its slug after the change.
    pub slug: String,
    /// Its title after the change.
    pub title: String,
    /// Its state after the change.
    pub status: PostStatus,
    /// When it will be published, if it is scheduled.
    pub publish_at: Option<Timestamp>,
}

/// Payload of the `blog.comment.*` events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentEvent {
    /// The comment.
    pub comment: CommentId,
    /// The post it stands under.
    pub post: PostId,
    /// Its state after the change.
    pub status: CommentStatus,
}

/// Payload of the `blog.media.*` events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaEvent {
    /// The upload.
    pub media: MediaId,
    /// Its media type.
    pub content_type: String,
    /// Its length in bytes.
    pub size_bytes: i64,
}

/// An event about a post.
#[must_use]
pub fn post(kind: &str, row: &PostRow) -> Event {
    let data = PostEvent {
        post: row.id.to(),
        version: row.version,
        slug: row.slug.clone(),
        title: row.title.clone(),
        status: row.status(),
        publish_at: row.publish_at.map(Timestamp::from),
    };
    Event::new(kind, row.id.0, &data).tenant(row.tenant_id.to())
}

/// An event about a comment.
#[must_use]
pub fn comment(kind: &str, tenant: TenantId, data: &CommentEvent) -> Event {
    Event::new(kind, data.post, data).tenant(tenant)
}

/// An event about an upload.
#[must_use]
pub fn media(kind: &str, tenant: TenantId, data: &MediaEvent) -> Event {
    Event::new(kind, data.media, data).tenant(tenant)
}

/// The event of a moderator's decision.
#[must_use]
pub const fn moderated(status: CommentStatus) -> &'static str {
    match status {
        CommentStatus::Pending => COMMENT_REOPENED,
        CommentStatus::Approved => COMMENT_APPROVED,
        CommentStatus::Rejected => COMMENT_REJECTED,
        CommentStatus::Spam => COMMENT_MARKED_SPAM,
    }
}
