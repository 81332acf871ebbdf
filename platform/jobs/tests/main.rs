//! The scheduler on both dialects, with a real service behind each handler.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod failing;
mod handling;
mod losing;
mod plans;
mod scheduling;
mod worker;
