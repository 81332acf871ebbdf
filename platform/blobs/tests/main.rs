//! The blob store as its users see it, through the port, on a real directory and a real S3 server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod contract;
mod local;
mod module;
mod proxy;
mod s3;
