//! Why the blog refuses something, and the [`Failure`] that says so.

use std::time::Duration;

use thiserror::Error;
use troupe_kernel::{Failure, FailureKind};

use crate::content::document::DocumentError;
use crate::content::limits::{
    COMMENT_CHARACTERS_MAX, COMMENT_NAME_CHARACTERS_MAX, EXCERPT_CHARACTERS_MAX,
    MEDIA_NAME_CHARACTERS_MAX, QUERY_CHARACTERS_MAX, SEARCH_OFFSET_MAX, SLUG_BYTES_MAX,
};
use crate::content::markdown::BodyError;
use crate::content::tags::TagError;
use crate::content::title::TitleError;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BlogError {
    /// The title breaks its rule.
    #[error(transparent)]
    Title(#[from] TitleError),
    /// The body breaks its rule.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A tag breaks its rule.
    #[error(transparent)]
    Tags(#[from] TagError),
    /// The excerpt is too long.
    #[error("the excerpt has {0} characters, at most {EXCERPT_CHARACTERS_MAX} are kept")]
    Excerpt(usize),
    /// The slug is not one.
    #[error(
        "`{given}` is not a slug of lower-case letters, digits and single hyphens, at most {SLUG_BYTES_MAX} long; `{better}` would be"
    )]
    Slug {
        /// What was sent.
        given: String,
        /// What it could be.
        better: String,
    },
    /// Another post has or had the slug.
    #[error("another post has or had the slug `{0}`; choose another one")]
    SlugTaken(String),
    /// The version is not the current one.
    #[error("the post is at version {current} now; read it again and repeat the change")]
    Stale {
        /// The current version.
        current: i64,
    },
    /// No such post in this organisation.
    #[error("there is no such post here")]
    PostNotFound,
    /// No such revision.
    #[error("there is no such revision of this post, or it was forgotten")]
    RevisionNotFound,
    /// No such comment in this organisation.
    #[error("there is no such comment here")]
    CommentNotFound,
    /// No such upload in this organisation.
    #[error("there is no such upload here")]
    MediaNotFound,
    /// No such organisation, or not an active one.
    #[error("there is no such organisation")]
    OrganisationNotFound,
    /// Already public.
    #[error("the post is published already")]
    AlreadyPublished,
    /// Neither public nor scheduled.
    #[error("the post is a draft already")]
    AlreadyDraft,
    /// Not scheduled.
    #[error("the post is not scheduled")]
    NotScheduled,
    /// A time that must lie ahead does not.
    #[error("`publish_at` must lie in the future, within ten years")]
    PublishAt,
    /// A date that must not lie ahead does.
    #[error("`published_at` must not lie in the future; schedule the post instead")]
    PublishedAt,
    /// The policies say no.
    #[error("{0}")]
    Denied(String),
    /// No principal in the scope.
    #[error("sign in and send the access token")]
    NoPrincipal,
    /// A principal without a tenant.
    #[error("this token belongs to no organisation; choose one and sign in to it")]
    NoTenant,
    /// The post takes no comments.
    #[error("this post takes no comments")]
    CommentsClosed,
    /// The comment's text.
    #[error("a comment has between 1 and {COMMENT_CHARACTERS_MAX} characters")]
    CommentLength,
    /// The comment nests too deep.
    #[error("the comment nests quotes or lists too deep")]
    CommentNesting,
    /// The name under a comment.
    #[error("a name has between 1 and {COMMENT_NAME_CHARACTERS_MAX} characters on one line")]
    CommentName,
    /// The e-mail address of a guest.
    #[error("this is not an e-mail address; leave it out if you do not want to give one")]
    CommentEmail,
    /// Too many comments from one address.
    #[error("too many comments from your address; try again later")]
    CommentRate(Duration),
    /// Too many comments wait on one post.
    #[error("too many comments wait for a moderator; try again later")]
    CommentBacklog,
    /// The upload has no content.
    #[error("the upload is empty; send the file as the body")]
    MediaEmpty,
    /// The upload is too large.
    #[error("the upload has more than {0} bytes")]
    MediaTooLarge(u64),
    /// The upload is of no accepted type.
    #[error("only PNG, JPEG, GIF, WebP and PDF files are kept; the content is none of these")]
    MediaType,
    /// The file's name.
    #[error("`name` must be a file name of 1 to {MEDIA_NAME_CHARACTERS_MAX} characters")]
    MediaName,
    /// The organisation's uploads are too large together.
    #[error("the uploads of this organisation may have {0} bytes together; delete some first")]
    MediaQuota(u64),
    /// The search query is too long.
    #[error("a query has at most {QUERY_CHARACTERS_MAX} characters, not {0}")]
    QueryLength(usize),
    /// Paged too deep into a search.
    #[error("a search shows its first {SEARCH_OFFSET_MAX} results; search for more words")]
    QueryDepth,
    /// A document cannot be imported.
    #[error("{0}")]
    Document(DocumentError),
}

impl From<BlogError> for Failure {
    fn from(error: BlogError) -> Self {
        use BlogError as E;
        use FailureKind as K;
        let (kind, code, pointer) = match &error {
            E::Title(_) => (K::Invalid, "blog.title.invalid", "/title"),
            E::Body(BodyError::TooLarge(_)) => (K::TooLarge, "blog.body.too_large", "/body"),
            E::Body(_) => (K::Invalid, "blog.body.invalid", "/body"),
            E::Tags(_) => (K::Invalid, "blog.tags.invalid", "/tags"),
            E::Excerpt(_) => (K::Invalid, "blog.excerpt.too_long", "/excerpt"),
            E::Slug { .. } => (K::Invalid, "blog.slug.invalid", "/slug"),
            E::SlugTaken(_) => (K::Conflict, "blog.slug.taken", "/slug"),
            E::Stale { .. } => (K::Stale, "blog.post.stale", ""),
            E::PostNotFound => (K::NotFound, "blog.post.not_found", ""),
            E::RevisionNotFound => (K::NotFound, "blog.revision.not_found", ""),
            E::CommentNotFound => (K::NotFound, "blog.comment.not_found", ""),
            E::MediaNotFound => (K::NotFound, "blog.media.not_found", ""),
            E::OrganisationNotFound => (K::NotFound, "blog.organisation.not_found", ""),
            E::AlreadyPublished => (K::Conflict, "blog.post.already_published", ""),
            E::AlreadyDraft => (K::Conflict, "blog.post.already_draft", ""),
            E::NotScheduled => (K::Conflict, "blog.post.not_scheduled", ""),
            E::PublishAt => (K::Invalid, "blog.publish_at.invalid", "/publish_at"),
            E::PublishedAt => (K::Invalid, "blog.published_at.invalid", "/published_at"),
            E::Denied(_) => (K::Forbidden, "blog.access.denied", ""),
            E::NoPrincipal => (K::Unauthenticated, "blog.principal.missing", ""),
            E::NoTenant => (K::Forbidden, "blog.tenant.missing", ""),
            E::CommentsClosed => (K::Conflict, "blog.comments.closed", ""),
            E::CommentLength => (K::Invalid, "blog.comment.length", "/body"),
            E::CommentNesting => (K::Invalid, "blog.comment.nesting", "/body"),
            E::CommentName => (K::Invalid, "blog.comment.name", "/name"),
            E::CommentEmail => (K::Invalid, "blog.comment.email", "/email"),
            E::CommentRate(_) => (K::RateLimited, "blog.comment.rate", ""),
            E::CommentBacklog => (K::RateLimited, "blog.comment.backlog", ""),
            E::MediaEmpty => (K::Invalid, "blog.media.empty", ""),
            E::MediaTooLarge(_) => (K::TooLarge, "blog.media.too_large", ""),
            E::MediaType => (K::UnsupportedMedia, "blog.media.type", ""),
            E::MediaName => (K::Invalid, "blog.media.name", "name"),
            E::MediaQuota(_) => (K::Conflict, "blog.media.quota", ""),
            E::QueryLength(_) => (K::Invalid, "blog.query.too_long", "q"),
            E::QueryDepth => (K::Invalid, "blog.query.too_deep", "cursor"),
            E::Document(DocumentError::TooLarge(_)) => {
                (K::TooLarge, "blog.document.too_large", "/content")
            }
            E::Document(fault) => (K::Invalid, "blog.document.invalid", fault.pointer()),
        };
        let detail = error.to_string();
        let failure = Self::new(kind, code, detail.clone());
        let failure = if pointer.is_empty() { failure } else { failure.field(pointer, detail) };
        match error {
            E::CommentRate(wait) => failure.retry_after(wait),
            E::CommentBacklog => failure.retry_after(Duration::from_secs(3600)),
            _ => failure,
        }
    }
}

impl From<DocumentError> for BlogError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_kind_code_and_field() {
        let failure = Failure::from(BlogError::from(TitleError::Empty));
        assert_eq!(failure.kind(), FailureKind::Invalid);
        assert_eq!(failure.code(), "blog.title.invalid");
        assert_eq!(failure.fields()[0].pointer, "/title");
        let stale = Failure::from(BlogError::Stale { current: 7 });
        assert_eq!((stale.kind(), stale.fields().len()), (FailureKind::Stale, 0));
        assert!(stale.detail().contains("version 7"));
        let rate = Failure::from(BlogError::CommentRate(Duration::from_secs(9)));
        assert_eq!(rate.retry_after_duration(), Some(Duration::from_secs(9)));
    }
}
