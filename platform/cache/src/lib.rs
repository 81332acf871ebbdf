//! What a node remembers for its modules, in process and in a Redis that its nodes share.
//!
//! [`MemoryCache`] is divided into shards, each behind a lock that is held for a look-up and never
//! over a wait. It is bounded by bytes and evicts by SIEVE (a hit sets a mark; the hand spares what
//! is marked once), which takes no write to an order list on a hit. Many that ask for a missing key
//! at once cause one load.
//!
//! [`Redis`] is the connection that a node has to the Redis of its installation. Behind it stand
//! [`RedisCache`] with a `MemoryCache` before it, the way of revocations to the other nodes, and the
//! count of what callers have spent of their quotas. While Redis is away each of them answers at
//! once from what the node has, and all recover by themselves (docs/adr/0015).
//!
//! A cache holds what its owner can make again. Keys of tenants must hold the tenant.

mod config;
mod flight;
mod local;
mod memory;
mod shard;
mod shared;

pub use config::CacheConfig;
pub use memory::MemoryCache;
pub use shared::{Redis, RedisCache, RedisError, RedisParts};
