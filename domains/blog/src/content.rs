//! What a post is made of, as pure functions: no actor, no database, no clock.
//!
//! Everything here is deterministic and bounded by the limits in
//! [`limits`]; the repositories store what these functions return and never
//! interpret it again.

pub mod document;
pub mod excerpt;
pub mod feed;
pub mod front_matter;
pub mod limits;
pub mod markdown;
pub mod media_type;
pub mod nesting;
pub mod query;
pub mod slug;
pub mod source_path;
pub mod status;
pub mod tags;
pub mod title;
