//! The hard bounds of everything a client may send to the blog.
//!
//! They are part of the API, not of the configuration: a document exported by
//! one installation is accepted by every other.

/// The longest title, in characters.
pub const TITLE_CHARACTERS_MAX: usize = 200;
/// The largest Markdown body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest excerpt, in characters.
pub const EXCERPT_CHARACTERS_MAX: usize = 500;
/// The most tags on one post.
pub const TAGS_MAX: usize = 20;
/// The longest tag, in characters.
pub const TAG_CHARACTERS_MAX: usize = 50;
/// The longest slug, in bytes (slugs are ASCII).
pub const SLUG_BYTES_MAX: usize = 80;
/// The longest source path of an imported document, in bytes.
pub const SOURCE_PATH_BYTES_MAX: usize = 512;
/// The largest front matter, in bytes.
pub const FRONT_MATTER_BYTES_MAX: usize = 64 * 1024;
/// The largest document of an import: front matter, fences and body, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = BODY_BYTES_MAX + FRONT_MATTER_BYTES_MAX + 16;
/// The longest comment, in characters.
pub const COMMENT_CHARACTERS_MAX: usize = 5_000;
/// The longest name under a comment, in characters.
pub const COMMENT_NAME_CHARACTERS_MAX: usize = 80;
/// The longest e-mail address, in bytes (RFC 5321).
pub const EMAIL_BYTES_MAX: usize = 254;
/// The longest file name of an upload, in characters.
pub const MEDIA_NAME_CHARACTERS_MAX: usize = 200;
/// The longest search query, in characters.
pub const QUERY_CHARACTERS_MAX: usize = 200;
/// The most terms of a search query; the rest is not looked at.
pub const QUERY_TERMS_MAX: usize = 16;
/// The deepest offset a search may be paged to.
pub const SEARCH_OFFSET_MAX: u32 = 1_000;
