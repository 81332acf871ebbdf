//! Integration tests of identity, each on both dialects.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actors;
mod deletion;
mod directory;
mod house;
mod invitations;
mod members;
mod notices;
mod organisations;
mod plans;
mod profile;
mod repositories;
mod routes;
mod verification;
