//! The cache as its users see it: one contract that the cache in process and the one over Redis keep,
//! and what nodes that share a Redis promise each other.
//!
//! The tests of Redis take the server of `TROUPE_TEST_REDIS_URL` and say so when there is none. Those
//! that restart or empty a server start one of their own when `redis-server` is on the path.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod away;
mod certificates;
mod contract;
mod house;
mod login;
mod memory;
mod nodes;
mod proxy;
mod restart;
mod revocations;
mod server;
mod spending;
mod tls;
