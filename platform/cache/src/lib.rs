//! The cache port, kept in process.
//!
//! [`MemoryCache`] is divided into shards, each behind a lock that is held for a look-up and never
//! over a wait. It is bounded by bytes and evicts by SIEVE (a hit sets a mark; the hand spares what
//! is marked once), which takes no write to an order list on a hit. Many that ask for a missing key
//! at once cause one load.
//!
//! A cache holds what its owner can make again. Keys of tenants must hold the tenant.

mod config;
mod flight;
mod memory;
mod shard;

pub use config::CacheConfig;
pub use memory::MemoryCache;
