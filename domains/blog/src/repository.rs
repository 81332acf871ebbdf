//! The rows of the blog, by topic. Functions on a connection; no rule of the blog is decided here.
//!
//! Every function takes the tenant and sees its rows only; an id of another tenant is not found.

pub mod comments;
pub mod media;
pub mod posts;
pub mod public;
pub mod revisions;
pub mod search;
pub mod slugs;
pub mod tags;
pub mod transfer;

use troupe_kernel::Migration;
use uuid::Uuid;

/// The tables of this module.
pub const MIGRATIONS: &[Migration] =
    troupe_database::migrations!("blog", ["0001_posts", "0002_comments", "0003_media"]);

/// Whose posts a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Published posts.
    Public,
    /// Published posts and all of this author.
    Member(Uuid),
    /// All posts.
    Manager,
}
