//! Several services of one kind: each responsible for a part of the keys, or one on each core.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use crate::cores;
use crate::message::Message;
use crate::reference::ServiceRef;

/// A fixed set of services among which keys are divided by hash; on a core that has its own, that
/// one is responsible for all keys.
pub struct Shards<M: Message> {
    services: Arc<[ServiceRef<M>]>,
    on_cores: bool,
    hasher: FixedHasher,
}

impl<M: Message> Clone for Shards<M> {
    fn clone(&self) -> Self {
        Self { services: self.services.clone(), on_cores: self.on_cores, hasher: FixedHasher }
    }
}

impl<M: Message> From<&ServiceRef<M>> for Shards<M> {
    fn from(service: &ServiceRef<M>) -> Self {
        Self::new(vec![service.clone()])
    }
}

impl<M: Message> From<&Self> for Shards<M> {
    fn from(shards: &Self) -> Self {
        shards.clone()
    }
}

impl<M: Message> Shards<M> {
    /// Shards over `services`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn new(services: Vec<ServiceRef<M>>) -> Self {
        assert!(!services.is_empty(), "shards need at least one service");
        Self { services: services.into(), on_cores: false, hasher: FixedHasher }
    }

    /// One service for each core, in their order.
    pub(crate) fn on_cores(services: Vec<ServiceRef<M>>) -> Self {
        Self { on_cores: true, ..Self::new(services) }
    }

    /// The one of the core that this runs on.
    #[inline]
    fn own(&self) -> Option<&ServiceRef<M>> {
        if self.on_cores { cores::here().and_then(|core| self.services.get(core)) } else { None }
    }

    /// The nearest one, for services that all give the same answer: that of this core, or else the
    /// first.
    #[must_use]
    #[inline]
    pub fn near(&self) -> &ServiceRef<M> {
        self.own().unwrap_or(&self.services[0])
    }

    /// The service responsible for `key`. The same key always has the same service, unless each
    /// core has its own.
    #[must_use]
    pub fn by<K: Hash + ?Sized>(&self, key: &K) -> &ServiceRef<M> {
        if let Some(own) = self.own() {
            return own;
        }
        if self.services.len() == 1 {
            return &self.services[0];
        }
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash % self.services.len() as u64).unwrap_or(0);
        &self.services[index]
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[ServiceRef<M>] {
        &self.services
    }
}

/// FNV-1a with a final mix: fast for short keys and the same on every node. Keys that an attacker
/// chooses can pile up on one shard, never in one bucket chain.
#[derive(Clone, Copy)]
struct FixedHasher;

struct Fnv(u64);

impl BuildHasher for FixedHasher {
    type Hasher = Fnv;

    fn build_hasher(&self) -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
