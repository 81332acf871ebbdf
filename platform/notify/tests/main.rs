//! Integration tests of notify, each on both dialects.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actors;
mod bounces;
mod hooks;
mod house;
mod mailpit;
mod mails;
mod plans;
mod preferences;
mod repositories;
mod routes;
mod sink;
mod smtp;
