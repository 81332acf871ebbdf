//! Tests of the contracts from outside of the crate.

mod lifecycle;
mod outside;
mod routes;
