//! The actors of the blog, by topic: posts, public reads, comments, media, import and export.
//!
//! Each is a pool that drains one bounded mailbox: its number of workers is how much of the database
//! the topic may use at once. Handlers keep no state of their own, so a crash loses nothing but the
//! message that caused it. The authorizer and identity are asked before a transaction begins, never
//! inside one.

mod access;
mod caching;
mod comments;
mod edit;
mod lifecycle;
mod media;
mod posts;
mod public;
mod revisions;
mod save;
mod transfer;

use std::sync::Arc;

use troupe_actors::{Scope, ServiceRef};
use troupe_database::{Db, Keyed};
use troupe_identity_messages::IdentityMessage;
use troupe_kernel::{Authorizer, BlobStore, Cache, Failure};

use crate::config::BlogConfig;
use crate::repository::public::PublishedBySlug;

pub use comments::Comments;
pub(crate) use lifecycle::PUBLISH_JOB;
pub(crate) use media::ERASE_JOB;
pub use media::MediaLibrary;
pub use posts::Posts;
pub use public::PublicReads;
pub use transfer::Transfer;

/// What every actor of the blog works with.
pub struct Blog {
    /// The database.
    pub db: Db,
    /// Reads published posts by slug.
    pub published: Keyed<PublishedBySlug>,
    /// Decides what a principal may do with a post, comment or upload.
    pub authorizer: Arc<dyn Authorizer>,
    /// Keeps public answers.
    pub cache: Arc<dyn Cache>,
    /// Keeps the contents of uploads.
    pub blobs: Arc<dyn BlobStore>,
    /// Knows organisations and names.
    pub identity: ServiceRef<IdentityMessage>,
    /// The settings.
    pub config: BlogConfig,
}

/// Bodies longer than this are rendered on the blocking pool.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// Does work whose cost grows with a text of this length: here when it is short, on the blocking
/// pool when it would hold up the other actors of this thread.
async fn compute<T, F>(length: usize, work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if length <= INLINE_BYTES_MAX {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "rendering a document panicked");
        Failure::internal("blog.render.crashed", "the document could not be rendered")
    })
}

/// Who acts, for rows that remember it; none for the platform itself.
fn editor(scope: &Scope) -> Option<uuid::Uuid> {
    scope
        .principal()
        .filter(|principal| principal.kind != troupe_kernel::PrincipalKind::System)
        .map(|principal| principal.subject)
}
