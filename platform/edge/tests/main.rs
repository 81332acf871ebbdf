//! Tests of the edge over real sockets, each under native and under forced wire encoding.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod client;
mod connections;
mod cores;
mod description;
mod fixture;
mod identity;
mod limits;
mod logs;
mod overload;
mod parsers;
mod pipeline;
