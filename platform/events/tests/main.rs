//! The event bus on both dialects, with a real service behind each subscription.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod dead;
mod delivering;
mod nodes;
mod recorder;
mod restored;
mod retaining;
