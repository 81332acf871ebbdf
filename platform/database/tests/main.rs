//! The database crate on both dialects.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod answers;
mod batching;
mod commands;
mod failover;
mod login;
mod migrating;
mod notes;
mod opening;
mod outbox;
mod plans;
mod replica;
mod servers;
mod tls;
mod together;
