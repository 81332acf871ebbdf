//! Messages of the slug cache.

use serde::{Deserialize, Serialize};
use troupe_actors::protocol;
use troupe_identity_messages::Organisation;
use troupe_kernel::Failure;

/// Answers the organisation with a slug.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindSlug {
    /// The slug.
    pub slug: String,
}

/// Forgets what is known about slugs. Answered when it is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForgetSlugs {
    /// The slugs.
    pub slugs: Vec<String>,
}

/// A look-up in the database has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SlugLoaded {
    /// The slug.
    pub slug: String,
    /// Which look-up it was.
    pub number: u64,
    /// What was found.
    pub found: Result<Option<Organisation>, Failure>,
}

protocol! {
    /// What the slug cache understands.
    pub enum SlugMessage("identity.slugs", 1) redact [] {
        /// Answers from memory, or loads.
        FindSlug => Option<Organisation>,
        /// Forgets slugs.
        ForgetSlugs => (),
        /// Tells what a look-up found.
        SlugLoaded,
    }
}
