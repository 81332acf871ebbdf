//! Integration tests of notify, each on both dialects.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actors;
mod house;
mod mails;
mod plans;
mod repositories;
mod routes;
mod sink;
mod smtp;
