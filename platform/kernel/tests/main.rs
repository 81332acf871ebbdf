//! Tests of the contracts from outside of the crate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod lifecycle;
mod outside;
mod routes;
