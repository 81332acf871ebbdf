//! The binary as its users run it: real processes, real requests, a data directory of their own.
//!
//! `TROUPE_NODE__WIRE=always` (or `TROUPE_WIRE`, which the whole workspace understands) runs every
//! node of these tests with its messages encoded.

mod bad_input;
mod bad_requests;
mod browser;
mod cli;
mod crash;
mod data;
mod load;
mod node;
mod observe;
mod passkeys;
mod people;
mod reload;
mod routes;
mod secured;
mod shared;
mod web;
mod webhooks;
