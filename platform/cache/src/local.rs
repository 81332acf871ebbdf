//! The tier of this process before Redis.
//!
//! A value that was read from Redis may be out of date when it arrives: what was invalidated since
//! the question left is not kept. A fill names its tags, so its flight is ended by an invalidation;
//! a plain read learns them with the answer, and for it the latest invalidations are remembered.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::memory::MemoryCache;

/// Invalidations that are remembered. A read that is overtaken by more is not kept.
const REMEMBERED: usize = 1024;

/// A moment in the order of invalidations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position(u64);

/// A value as it came from Redis.
pub(crate) struct Fetched<'a> {
    pub(crate) value: Bytes,
    pub(crate) ttl: Duration,
    pub(crate) tags: &'a [String],
}

pub(crate) struct LocalTier {
    pub(crate) memory: MemoryCache,
    hasher: RandomState,
    forgotten: Mutex<Forgotten>,
}

#[derive(Default)]
struct Forgotten {
    /// Invalidations so far.
    count: u64,
    /// Hashes of the latest ones.
    latest: VecDeque<u64>,
    /// The count after everything was forgotten last.
    all: u64,
}

impl LocalTier {
    pub(crate) fn new(memory: MemoryCache) -> Self {
        Self { memory, hasher: RandomState::new(), forgotten: Mutex::default() }
    }

    /// Where the order of invalidations is now; take it before asking Redis.
    pub(crate) fn position(&self) -> Position {
        Position(self.forgotten.lock().count)
    }

    /// Keeps what was asked at `since`, unless it was invalidated after that.
    pub(crate) fn keep_read(&self, key: &str, since: Position, fetched: &Fetched<'_>) {
        let mut hashes = Vec::with_capacity(1 + fetched.tags.len());
        hashes.push(self.key_hash(key));
        hashes.extend(fetched.tags.iter().map(|tag| self.tag_hash(tag)));
        // Held over both, so that no invalidation comes between the look and the keeping.
        let forgotten = self.forgotten.lock();
        if !fetched.ttl.is_zero() && forgotten.spares(since, &hashes) {
            self.memory.keep(key, fetched.value.clone(), fetched.ttl, fetched.tags);
        }
    }

    pub(crate) fn forget_key(&self, key: &str) {
        let mut forgotten = self.forgotten.lock();
        forgotten.add(self.key_hash(key));
        self.memory.forget_key(key);
    }

    pub(crate) fn forget_tag(&self, tag: &str) {
        let mut forgotten = self.forgotten.lock();
        forgotten.add(self.tag_hash(tag));
        self.memory.forget_tag(tag);
    }

    pub(crate) fn forget_all(&self) {
        let mut forgotten = self.forgotten.lock();
        forgotten.count += 1;
        forgotten.all = forgotten.count;
        forgotten.latest.clear();
        self.memory.forget_all();
    }

    fn key_hash(&self, key: &str) -> u64 {
        self.hasher.hash_one((0_u8, key))
    }

    fn tag_hash(&self, tag: &str) -> u64 {
        self.hasher.hash_one((1_u8, tag))
    }
}

impl Forgotten {
    fn add(&mut self, hash: u64) {
        self.count += 1;
        if self.latest.len() == REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back(hash);
    }

    fn spares(&self, since: Position, hashes: &[u64]) -> bool {
        let newer = usize::try_from(self.count - since.0).unwrap_or(usize::MAX);
        self.all <= since.0
            && newer <= self.latest.len()
            && !self.latest.iter().rev().take(newer).any(|hash| hashes.contains(hash))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use troupe_kernel::clock::ManualClock;

    use super::*;
    use crate::config::CacheConfig;

    fn tier() -> LocalTier {
        let clock = Arc::new(ManualClock::default());
        LocalTier::new(MemoryCache::new(&CacheConfig::default(), clock))
    }

    fn keep(tier: &LocalTier, since: Position) -> bool {
        let tags = ["post:1".to_owned()];
        let value = Bytes::from_static(b"old");
        tier.keep_read("page", since, &Fetched { value, ttl: Duration::from_secs(1), tags: &tags });
        tier.memory.read("page").is_some()
    }

    #[test]
    fn what_was_forgotten_on_the_way_is_not_kept_and_everything_else_is() {
        let tier = tier();
        for forget in [
            (|tier| tier.forget_tag("post:1")) as fn(&LocalTier),
            |tier| tier.forget_key("page"),
            LocalTier::forget_all,
        ] {
            let since = tier.position();
            forget(&tier);
            assert!(!keep(&tier, since), "it was forgotten on the way");
            let since = tier.position();
            tier.forget_tag("post:2");
            tier.forget_key("other");
            assert!(keep(&tier, since), "others were forgotten");
            forget(&tier);
            assert!(tier.memory.is_empty(), "it is forgotten where it is kept");
        }
    }

    #[test]
    fn a_read_that_too_many_invalidations_overtook_is_not_kept() {
        let tier = tier();
        let since = tier.position();
        for id in 0..REMEMBERED {
            tier.forget_tag(&format!("other:{id}"));
        }
        assert!(keep(&tier, since));
        tier.forget_all();
        let since = tier.position();
        for id in 0..=REMEMBERED {
            tier.forget_tag(&format!("other:{id}"));
        }
        assert!(!keep(&tier, since), "the first of them may have been its own");
    }
}
