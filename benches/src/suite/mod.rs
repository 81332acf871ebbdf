//! The suite: HTTP contenders, peers in other languages and message kits in one comparison.
//!
//! What is measured stands in `benches/suite.toml`; the modules here only know how. The server runs
//! on core 0, the generator on core 1, PostgreSQL's CPU is counted apart. Contenders take turns in
//! every round in an order that is drawn anew, the first round is left out, and a goal fails only
//! when the whole bootstrap interval misses it.

pub mod callgrind;
pub mod catalog;
#[cfg(feature = "comparison")]
pub mod chart;
#[cfg(feature = "comparison")]
pub mod goals;
#[cfg(feature = "comparison")]
pub mod machine;
#[cfg(feature = "comparison")]
pub mod messaging;
pub mod peers;
#[cfg(feature = "comparison")]
pub mod plots;
#[cfg(feature = "comparison")]
pub mod record;
#[cfg(feature = "comparison")]
pub mod rounds;
pub mod server;
pub mod usage;
