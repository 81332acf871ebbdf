//! The inspection API from outside: routes in, responses out, on a live system of actors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod bench;
mod taps;
mod views;
