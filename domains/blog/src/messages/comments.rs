//! Comments as the API shows them.

use serde::{Deserialize, Serialize};
use troupe_kernel::{PageRequest, Timestamp, UserId};
use utoipa::ToSchema;

use super::{CommentId, PostId};
pub use crate::content::status::CommentStatus;

/// A comment as moderators and its author see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Comment {
    /// Which comment.
    pub id: CommentId,
    /// On which post.
    pub post: PostId,
    /// The member who wrote it; none for a guest.
    pub author: Option<UserId>,
    /// The name under it.
    pub name: String,
    /// The guest's e-mail address, never shown in public.
    pub email: Option<String>,
    /// What was written.
    pub body: String,
    /// The same as sanitised HTML.
    pub html: String,
    /// Where it stands.
    pub status: CommentStatus,
    /// Who decided on it.
    pub moderated_by: Option<UserId>,
    /// When.
    pub moderated_at: Option<Timestamp>,
    /// When it was written.
    pub created_at: Timestamp,
}

/// An approved comment as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicComment {
    /// Which comment.
    pub id: CommentId,
    /// The name under it.
    pub name: String,
    /// Whether a member of the organisation wrote it.
    pub member: bool,
    /// Sanitised HTML.
    pub html: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// A guest's comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    /// The name to show, at most 80 characters.
    pub name: String,
    /// An e-mail address for the moderators, never shown in public.
    #[serde(default)]
    pub email: Option<String>,
    /// Text with simple Markdown, at most 5000 characters.
    pub body: String,
}

/// A member's comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberComment {
    /// Text with simple Markdown, at most 5000 characters.
    pub body: String,
}

/// What became of a guest's comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommentReceipt {
    /// Which comment.
    pub id: CommentId,
    /// `pending` until a moderator has read it; a comment taken for spam also shows as pending.
    pub status: CommentStatus,
}

/// A moderator's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Moderation {
    /// The new state.
    pub status: CommentStatus,
}

/// Which comments are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommentFilter {
    /// Only comments in this state.
    pub status: Option<CommentStatus>,
    /// Only comments on this post.
    pub post: Option<PostId>,
    /// Only comments of this member.
    pub author: Option<UserId>,
}

/// Comments on a published post as anybody.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubmitComment {
    /// The organisation's slug.
    pub organisation: String,
    /// The post's slug.
    pub slug: String,
    /// The comment.
    pub comment: NewComment,
    /// Where it comes from, for the rate limit; kept as a hash only.
    pub address: String,
}

/// Comments on a post as a member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateComment {
    /// On which post.
    pub post: PostId,
    /// The comment.
    pub comment: MemberComment,
}

/// Answers a page of comments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListComments {
    /// Which comments.
    pub filter: CommentFilter,
    /// Which page.
    pub page: PageRequest,
}

/// Decides on a comment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModerateComment {
    /// Which comment.
    pub id: CommentId,
    /// The decision.
    pub moderation: Moderation,
}

/// Deletes a comment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteComment {
    /// Which comment.
    pub id: CommentId,
}

/// Erases the name under a user's comments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForgetCommenter {
    /// The user.
    pub user: UserId,
}
