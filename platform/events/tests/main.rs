//! The event bus on both dialects, in the database and on Kafka, with a real service behind each
//! subscription.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod dead;
mod delivering;
#[cfg(feature = "kafka")]
mod kafka;
mod nodes;
mod place;
mod plans;
mod recorder;
mod restored;
mod retaining;
