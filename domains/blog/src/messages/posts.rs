//! Posts, revisions, tags and search as the API shows them.

use serde::{Deserialize, Serialize};
use troupe_kernel::{PageRequest, TenantId, Timestamp, UserId};
use utoipa::ToSchema;

use super::PostId;
pub use crate::content::status::PostStatus;

/// A post. Lists and answers to changes come without `content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Post {
    /// Which post.
    pub id: PostId,
    /// Who wrote it.
    pub author: UserId,
    /// Its name in addresses, unique in the organisation.
    pub slug: String,
    /// The title.
    pub title: String,
    /// The author's excerpt, or the beginning of the text.
    pub summary: String,
    /// The tags, lower case.
    pub tags: Vec<String>,
    /// Where it stands.
    pub status: PostStatus,
    /// Whether readers may comment.
    pub comments_enabled: bool,
    /// Rises with every change; the ETag, to be sent back in `If-Match`.
    pub version: i64,
    /// The path of the document that it was imported from.
    pub source_path: Option<String>,
    /// When it was last published. Stays when it is taken back to draft.
    pub published_at: Option<Timestamp>,
    /// When it will be published.
    pub publish_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<PostContent>,
}

/// The content of a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PostContent {
    /// Markdown as the author wrote it.
    pub body: String,
    /// Sanitised HTML of the body.
    pub html: String,
    /// The author's excerpt; none when the summary is automatic.
    pub excerpt: Option<String>,
}

/// What a new post is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPost {
    /// The title, at most 200 characters.
    pub title: String,
    /// Markdown, at most 1 MiB.
    #[serde(default)]
    pub body: String,
    /// The slug; none makes a free one from the title.
    #[serde(default)]
    pub slug: Option<String>,
    /// The excerpt, at most 500 characters; none shows the beginning of the text.
    #[serde(default)]
    pub excerpt: Option<String>,
    /// At most 20 tags of at most 50 characters.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether readers may comment; none takes the configured default.
    #[serde(default)]
    pub comments_enabled: Option<bool>,
}

/// What is to be changed of a post; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostChange {
    /// The title.
    #[serde(default)]
    pub title: Option<String>,
    /// Markdown.
    #[serde(default)]
    pub body: Option<String>,
    /// The slug; the old one leads to the new one from then on.
    #[serde(default)]
    pub slug: Option<String>,
    /// The excerpt; an empty one makes it automatic again.
    #[serde(default)]
    pub excerpt: Option<String>,
    /// All tags.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// Whether readers may comment.
    #[serde(default)]
    pub comments_enabled: Option<bool>,
}

/// Which posts are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PostFilter {
    /// Only posts in this state.
    pub status: Option<PostStatus>,
    /// Only posts with this tag.
    pub tag: Option<String>,
    /// Only posts of this author.
    pub author: Option<UserId>,
}

/// How a post is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Publication {
    /// The date it shows, not in the future; none keeps an earlier one or takes the time now.
    pub published_at: Option<Timestamp>,
}

/// When a post is to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The time, in the future.
    pub publish_at: Timestamp,
}

/// A save of a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    /// The version that this save made.
    pub version: i64,
    /// The title then.
    pub title: String,
    /// The slug then.
    pub slug: String,
    /// Who saved it; none for the platform itself.
    pub editor: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
}

/// A save of a post with what was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevisionContent {
    /// The save.
    pub revision: Revision,
    /// Markdown then.
    pub body: String,
    /// The author's excerpt then.
    pub excerpt: Option<String>,
    /// The tags then.
    pub tags: Vec<String>,
}

/// A tag and how many posts have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TagCount {
    /// The tag.
    pub tag: String,
    /// How many posts have it.
    pub posts: i64,
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// Words; `"a phrase"` and `-without` are understood.
    pub q: String,
}

/// A post that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// Which post.
    pub id: PostId,
    /// Its slug.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: PostStatus,
    /// A part of the text as HTML, the words that match in `<mark>`.
    pub snippet: String,
    /// When it was published.
    pub published_at: Option<Timestamp>,
}

/// Writes a new draft.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreatePost {
    /// What it is made of.
    pub post: NewPost,
}

/// Answers one post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetPost {
    /// Which post.
    pub id: PostId,
}

/// Answers a page of posts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListPosts {
    /// Which posts.
    pub filter: PostFilter,
    /// Which page.
    pub page: PageRequest,
}

/// Changes a post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpdatePost {
    /// Which post.
    pub id: PostId,
    /// The version the change is based on.
    pub version: i64,
    /// What is to be changed.
    pub change: PostChange,
}

/// Deletes a post.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeletePost {
    /// Which post.
    pub id: PostId,
    /// The version the caller saw, if it matters.
    pub version: Option<i64>,
}

/// Makes a post public.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishPost {
    /// Which post.
    pub id: PostId,
    /// The version the caller saw, if it matters.
    pub version: Option<i64>,
    /// The date it shows.
    pub published_at: Option<Timestamp>,
}

/// Takes a post back to draft.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnpublishPost {
    /// Which post.
    pub id: PostId,
    /// The version the caller saw, if it matters.
    pub version: Option<i64>,
}

/// Sets the time at which a post becomes public.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchedulePost {
    /// Which post.
    pub id: PostId,
    /// The version the caller saw, if it matters.
    pub version: Option<i64>,
    /// The time.
    pub publish_at: Timestamp,
}

/// Takes a scheduled post back to draft.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnschedulePost {
    /// Which post.
    pub id: PostId,
    /// The version the caller saw, if it matters.
    pub version: Option<i64>,
}

/// The time of a scheduled post has come; the payload of the job `blog.publish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishDue {
    /// The tenant.
    pub tenant: TenantId,
    /// Which post.
    pub post: PostId,
    /// The time it was scheduled for; another one now means that this job is out of date.
    pub publish_at: Timestamp,
}

/// Answers a page of revisions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListRevisions {
    /// Of which post.
    pub post: PostId,
    /// Which page.
    pub page: PageRequest,
}

/// Answers one revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetRevision {
    /// Of which post.
    pub post: PostId,
    /// Which revision.
    pub revision: i64,
}

/// Saves an old revision as the newest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreRevision {
    /// Of which post.
    pub post: PostId,
    /// Which revision.
    pub revision: i64,
    /// The version of the post that the caller saw.
    pub version: i64,
}

/// Answers a page of tags.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListTags {
    /// Which page.
    pub page: PageRequest,
}

/// Answers a page of posts that match.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchPosts {
    /// What is searched for.
    pub query: String,
    /// Which page.
    pub page: PageRequest,
}
