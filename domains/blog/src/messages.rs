//! What the blog's services understand. Data only.
//!
//! The tenant and the actor of every message come from the principal in its scope; public reads
//! name the organisation instead. Nothing here says whether it is allowed: the services ask.

mod comments;
mod media;
mod posts;
mod public;
mod transfer;

use troupe_actors::protocol;
use troupe_kernel::Page;
use troupe_kernel::typed_id;

pub use comments::{
    Comment, CommentFilter, CommentReceipt, CreateComment, DeleteComment, ForgetCommenter,
    ListComments, MemberComment, ModerateComment, Moderation, NewComment, PublicComment,
    SubmitComment,
};
pub use media::{
    DeleteMedia, EraseBlob, ListMedia, Media, ReadMedia, ReadPublicMedia, SweepMedia, UploadMedia,
};
pub use posts::{
    CreatePost, DeletePost, GetPost, GetRevision, ListPosts, ListRevisions, ListTags, NewPost,
    Post, PostChange, PostContent, PostFilter, Publication, PublishDue, PublishPost,
    RestoreRevision, Revision, RevisionContent, Schedule, SchedulePost, SearchHit, SearchPosts,
    SearchQuery, TagCount, UnpublishPost, UnschedulePost, UpdatePost,
};
pub use public::{
    FeedFormat, ForgetOrganisation, ForgetPost, ListPublicComments, ListPublicPosts,
    ListPublicTags, PublicPost, PublicSummary, ReadFeed, ReadPublicPost, SearchPublic, Served,
};
pub use transfer::{
    ExportPosts, ExportedDocument, ImportDocument, ImportOutcome, ImportRequest, Imported,
};

typed_id! {
    /// Which post.
    PostId
}

typed_id! {
    /// Which comment.
    CommentId
}

typed_id! {
    /// Which upload.
    MediaId
}

protocol! {
    /// Commands and queries on posts.
    pub enum PostMessage("blog.posts", 1) redact [] {
        /// Writes a new draft.
        CreatePost => Post,
        /// Answers one post with its content.
        GetPost => Post,
        /// Answers a page of posts, newest first, without content.
        ListPosts => Page<Post>,
        /// Changes a post and keeps a revision.
        UpdatePost => Post,
        /// Deletes a post with everything that belongs to it.
        DeletePost => (),
        /// Makes a post public now.
        PublishPost => Post,
        /// Takes a post back to draft.
        UnpublishPost => Post,
        /// Sets the time at which a post becomes public.
        SchedulePost => Post,
        /// Takes a scheduled post back to draft.
        UnschedulePost => Post,
        /// Publishes a post whose time has come; no effect when it was scheduled anew or taken back.
        PublishDue => (),
        /// Answers a page of revisions, newest first, without content.
        ListRevisions => Page<Revision>,
        /// Answers one revision with its content.
        GetRevision => RevisionContent,
        /// Saves an old revision as the newest.
        RestoreRevision => Post,
        /// Answers a page of tags with the number of posts that have them.
        ListTags => Page<TagCount>,
        /// Answers a page of posts that match, best first.
        SearchPosts => Page<SearchHit>,
    }
}

protocol! {
    /// Public reads; answers come encoded, from the cache where it has them.
    pub enum PublicMessage("blog.public", 1) redact [] {
        /// A published post by its slug, or where it moved.
        ReadPublicPost => Served,
        /// A page of published posts, newest first.
        ListPublicPosts => Served,
        /// A page of tags of published posts.
        ListPublicTags => Served,
        /// A page of published posts that match, best first.
        SearchPublic => Served,
        /// A feed or the sitemap.
        ReadFeed => Served,
        /// A page of approved comments, oldest first.
        ListPublicComments => Served,
        /// A post or its comments changed: forgets what the cache holds of it.
        ForgetPost => (),
        /// An organisation changed: forgets what the cache holds of it.
        ForgetOrganisation => (),
    }
}

protocol! {
    /// Commands and queries on comments.
    pub enum CommentMessage("blog.comments", 1) redact ["email", "address"] {
        /// Comments on a published post as anybody.
        SubmitComment => CommentReceipt,
        /// Comments on a post as a member.
        CreateComment => Comment,
        /// Answers a page of comments, newest first, of those the caller may see.
        ListComments => Page<Comment>,
        /// Approves, rejects or marks a comment.
        ModerateComment => Comment,
        /// Deletes a comment.
        DeleteComment => (),
        /// An account is gone: erases the name under its comments.
        ForgetCommenter => (),
    }
}

protocol! {
    /// Commands and queries on uploads.
    pub enum MediaMessage("blog.media", 1) redact ["content"] {
        /// Keeps an upload.
        UploadMedia => Media,
        /// Answers a page of uploads, newest first.
        ListMedia => Page<Media>,
        /// Answers the content of an upload to a member.
        ReadMedia => Served,
        /// Answers the content of an upload to anybody.
        ReadPublicMedia => Served,
        /// Deletes an upload.
        DeleteMedia => (),
        /// Removes the content of an upload that was deleted.
        EraseBlob => (),
        /// Removes contents whose upload was never completed; answers how many.
        SweepMedia => u64,
    }
}

protocol! {
    /// Import and export.
    pub enum TransferMessage("blog.transfer", 1) redact [] {
        /// Imports one document.
        ImportDocument => Imported,
        /// Answers a page of documents.
        ExportPosts => Page<ExportedDocument>,
    }
}
