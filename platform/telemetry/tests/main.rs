//! Tests of telemetry from outside of the crate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod health;
mod node;
