//! The tables that belong to this crate; nobody else reads or writes them.
//!
//! The search columns (`blog_contents.search` | `blog_search`) are kept by the database and used in
//! `repository/search.rs` only.
#![allow(missing_docs, reason = "the columns are described in the migrations")]

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, Text};
    use troupe_database::{Id, Instant, TextArray};

    /// Posts without their content.
    blog_posts (id) {
        id -> Id,
        tenant_id -> Id,
        author_id -> Id,
        slug -> Text,
        title -> Text,
        summary -> Text,
        tags -> TextArray,
        status -> Text,
        comments_enabled -> Bool,
        version -> BigInt,
        source_path -> Nullable<Text>,
        source_digest -> Nullable<Text>,
        published_at -> Nullable<Instant>,
        publish_at -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use troupe_database::Id;

    /// The content of each post.
    blog_contents (post_id) {
        post_id -> Id,
        tenant_id -> Id,
        title -> Text,
        keywords -> Text,
        body -> Text,
        html -> Text,
        plain -> Text,
        excerpt -> Nullable<Text>,
        size_bytes -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::Text;
    use troupe_database::{Id, Instant};

    /// Every slug a post has or had.
    blog_slugs (tenant_id, slug) {
        tenant_id -> Id,
        slug -> Text,
        post_id -> Id,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::Text;
    use troupe_database::Id;

    /// The tags of each post.
    blog_post_tags (post_id, tag) {
        post_id -> Id,
        tag -> Text,
        tenant_id -> Id,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use troupe_database::{Id, Instant, TextArray};

    /// One row per save.
    blog_revisions (post_id, version) {
        post_id -> Id,
        version -> BigInt,
        tenant_id -> Id,
        editor_id -> Nullable<Id>,
        title -> Text,
        slug -> Text,
        body -> Text,
        excerpt -> Nullable<Text>,
        tags -> TextArray,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use troupe_database::{Id, Instant};

    /// Comments.
    blog_comments (id) {
        id -> Id,
        tenant_id -> Id,
        post_id -> Id,
        author_id -> Nullable<Id>,
        author_name -> Text,
        author_email -> Nullable<Text>,
        body -> Text,
        html -> Text,
        status -> Text,
        origin -> Nullable<Text>,
        moderated_by -> Nullable<Id>,
        moderated_at -> Nullable<Instant>,
        created_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use troupe_database::{Id, Instant};

    /// Uploads.
    blog_media (id) {
        id -> Id,
        tenant_id -> Id,
        uploader_id -> Id,
        name -> Text,
        content_type -> Text,
        size_bytes -> BigInt,
        digest -> Text,
        created_at -> Instant,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    blog_posts,
    blog_contents,
    blog_slugs,
    blog_post_tags,
    blog_revisions,
    blog_comments,
);
