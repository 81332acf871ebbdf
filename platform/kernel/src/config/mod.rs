//! Typed, layered configuration: defaults, then `troupe.toml`, then `TROUPE_*`, then flags.
//!
//! Everything here is pure: the binary reads files and the environment and hands the content in.
//! A section reports every fault at once, with the path of the key, where its value came from and,
//! for an unknown key, the known one that it resembles.

mod fault;
mod layers;
mod secret;
mod section;
pub mod units;

pub use fault::ConfigFault;
pub(crate) use fault::unknown_detail;
pub use layers::{ConfigTree, Layers, Reference};
pub use secret::Secret;
pub use section::ConfigSection;
