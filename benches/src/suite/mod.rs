//! The suite: HTTP contenders, peers in other languages and message kits in one comparison.
//!
//! What is measured stands in `benches/suite.toml`; the modules here only know how. The server runs
//! on core 0, the generator on core 1, PostgreSQL's CPU is counted apart. Contenders take turns in
//! every round in an order that is drawn anew, the first round is left out, and a goal fails only
//! when the whole bootstrap interval misses it.

pub mod callgrind;
pub mod catalog;
pub mod chart;
pub mod goals;
pub mod machine;
pub mod messaging;
pub mod peers;
pub mod record;
pub mod rounds;
pub mod server;
pub mod usage;
