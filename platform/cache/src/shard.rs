//! One part of the keys: values in the order in which they came, tags, and loads under way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use troupe_kernel::clock::Timestamp;

use crate::flight::{self, Flight, Follower, Leader};

/// What an entry costs beyond its key, value and tags: the two maps, the order, the allocations.
const ENTRY_OVERHEAD_BYTES: usize = 200;
/// An entry may take this part of its shard at most, so that one cannot push out all others.
const PART_MAX: usize = 4;

struct Entry {
    value: Bytes,
    tags: Vec<Arc<str>>,
    expires: Timestamp,
    bytes: usize,
    /// Place in the order of arrival.
    place: u64,
    /// Whether it was asked for since the hand passed.
    marked: bool,
}

/// What a look-up for a fill found.
pub(crate) enum Found {
    Value(Bytes),
    Flight(Follower),
    Nothing(Leader),
}

/// Values that a shard keeps.
pub(crate) struct NewEntry<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: Bytes,
    pub(crate) tags: &'a [String],
    pub(crate) expires: Timestamp,
}

pub(crate) struct Shard {
    entries: HashMap<Arc<str>, Entry>,
    order: BTreeMap<u64, Arc<str>>,
    tagged: HashMap<Arc<str>, HashSet<Arc<str>>>,
    flights: HashMap<String, Flight>,
    /// The hand of SIEVE: the place that it looks at next.
    hand: u64,
    next: u64,
    bytes: usize,
    bytes_max: usize,
}

impl Shard {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            tagged: HashMap::new(),
            flights: HashMap::new(),
            hand: 0,
            next: 0,
            bytes: 0,
            bytes_max,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The value of a key, unless it has expired.
    pub(crate) fn get(&mut self, key: &str, now: Timestamp) -> Option<Bytes> {
        let entry = self.entries.get_mut(key)?;
        if entry.expires <= now {
            self.drop_entry(key);
            return None;
        }
        entry.marked = true;
        Some(entry.value.clone())
    }

    /// The value, the load that is under way for it, or the lead of a new one.
    pub(crate) fn find(&mut self, key: &str, tags: &[String], now: Timestamp) -> Found {
        if let Some(value) = self.get(key, now) {
            return Found::Value(value);
        }
        if let Some(flight) = self.flights.get(key) {
            return Found::Flight(flight.follow());
        }
        self.next += 1;
        let (flight, leader) = flight::start(self.next, tags);
        self.flights.insert(key.to_owned(), flight);
        Found::Nothing(leader)
    }

    /// Ends a flight; answers whether what it brings may be kept: nobody has removed its key or
    /// invalidated one of its tags since it began.
    pub(crate) fn end_flight(&mut self, key: &str, number: u64) -> bool {
        let still = self.flights.get(key).is_some_and(|flight| flight.number == number);
        if still {
            self.flights.remove(key);
        }
        still
    }

    /// Keeps a value; answers how many others had to go, or none when it is too large to keep.
    pub(crate) fn put(&mut self, new: NewEntry<'_>, now: Timestamp) -> Option<u64> {
        self.drop_entry(new.key);
        let tag_bytes: usize = new.tags.iter().map(String::len).sum();
        let bytes = ENTRY_OVERHEAD_BYTES + 2 * new.key.len() + new.value.len() + 2 * tag_bytes;
        if bytes > self.bytes_max / PART_MAX {
            return None;
        }
        let mut evicted = 0;
        while self.bytes + bytes > self.bytes_max {
            self.evict(now);
            evicted += 1;
        }
        let key: Arc<str> = new.key.into();
        let tags: Vec<Arc<str>> = new.tags.iter().map(|tag| self.tag(tag, &key)).collect();
        self.next += 1;
        let place = self.next;
        self.order.insert(place, key.clone());
        self.bytes += bytes;
        let NewEntry { value, expires, .. } = new;
        self.entries.insert(key, Entry { value, tags, expires, bytes, place, marked: false });
        Some(evicted)
    }

    /// Forgets a key, and what is being loaded for it.
    pub(crate) fn remove(&mut self, key: &str) {
        self.flights.remove(key);
        self.drop_entry(key);
    }

    /// Forgets every key with this tag, and what is being loaded with it.
    pub(crate) fn invalidate(&mut self, tag: &str) {
        self.flights.retain(|_, flight| !flight.tags.iter().any(|known| known == tag));
        for key in self.tagged.remove(tag).unwrap_or_default() {
            self.drop_entry(&key);
        }
    }

    /// Forgets every key, and what is being loaded.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.tagged.clear();
        self.flights.clear();
        self.bytes = 0;
    }

    fn tag(&mut self, tag: &str, key: &Arc<str>) -> Arc<str> {
        let name: Arc<str> =
            self.tagged.get_key_value(tag).map_or_else(|| tag.into(), |(name, _)| name.clone());
        self.tagged.entry(name.clone()).or_default().insert(key.clone());
        name
    }

    fn drop_entry(&mut self, key: &str) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.order.remove(&entry.place);
        self.bytes -= entry.bytes;
        for tag in &entry.tags {
            if let Some(keys) = self.tagged.get_mut(tag) {
                keys.remove(key);
                if keys.is_empty() {
                    self.tagged.remove(tag);
                }
            }
        }
    }

    /// Moves the hand from old to new until it finds one that nobody asked for since it came by.
    fn evict(&mut self, now: Timestamp) {
        loop {
            let under_hand = self.order.range(self.hand..).next();
            let Some((&place, key)) = under_hand.or_else(|| self.order.first_key_value()) else {
                return;
            };
            let key = key.clone();
            self.hand = place + 1;
            match self.entries.get_mut(&key) {
                Some(entry) if entry.marked && entry.expires > now => entry.marked = false,
                _ => {
                    self.drop_entry(&key);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn entry<'a>(key: &'a str, size_bytes: usize, tags: &'a [String]) -> NewEntry<'a> {
        let expires = NOW.plus(Duration::from_secs(60));
        NewEntry { key, value: Bytes::from(vec![0; size_bytes]), tags, expires }
    }

    #[test]
    fn what_was_asked_for_is_spared_once() {
        let mut shard = Shard::new(6 * (ENTRY_OVERHEAD_BYTES + 102));
        for key in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(shard.put(entry(key, 100, &[]), NOW), Some(0));
        }
        assert!(shard.get("a", NOW).is_some());
        assert_eq!(shard.put(entry("g", 100, &[]), NOW), Some(1));
        assert!(shard.get("a", NOW).is_some(), "it was marked");
        assert!(shard.get("b", NOW).is_none(), "the oldest without a mark went");
        assert_eq!(shard.len(), 6);
    }

    #[test]
    fn an_entry_that_would_push_out_the_others_is_not_kept() {
        let mut shard = Shard::new(10_000);
        assert_eq!(shard.put(entry("small", 10, &[]), NOW), Some(0));
        assert_eq!(shard.put(entry("large", 5_000, &[]), NOW), None);
        assert!(shard.get("small", NOW).is_some());
    }

    #[test]
    fn an_expired_value_is_gone_with_its_tags() {
        let mut shard = Shard::new(10_000);
        let tags = ["post:1".to_owned()];
        shard.put(entry("a", 10, &tags), NOW);
        assert!(shard.get("a", NOW.plus(Duration::from_secs(60))).is_none());
        assert_eq!((shard.len(), shard.bytes(), shard.tagged.len()), (0, 0, 0));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put { key: u8, size_bytes: usize, tags: Vec<u8> },
        Get(u8),
        Remove(u8),
        Invalidate(u8),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = 0..24_u8;
        let tags = proptest::collection::vec(0..4_u8, 0..3);
        let step = prop_oneof![
            (key.clone(), 0..900_usize, tags).prop_map(|(key, size_bytes, tags)| Step::Put {
                key,
                size_bytes,
                tags
            }),
            key.clone().prop_map(Step::Get),
            key.prop_map(Step::Remove),
            (0..4_u8).prop_map(Step::Invalidate),
            Just(Step::Clear),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn the_books_of_a_shard_always_balance(steps in steps()) {
            let mut shard = Shard::new(8_000);
            for step in steps {
                match step {
                    Step::Put { key, size_bytes, tags } => {
                        let tags: Vec<String> = tags.iter().map(u8::to_string).collect();
                        shard.put(entry(&key.to_string(), size_bytes, &tags), NOW);
                    }
                    Step::Get(key) => drop(shard.get(&key.to_string(), NOW)),
                    Step::Clear => {
                        shard.clear();
                        prop_assert!(shard.entries.is_empty());
                    }
                    Step::Remove(key) => {
                        shard.remove(&key.to_string());
                        prop_assert!(shard.get(&key.to_string(), NOW).is_none());
                    }
                    Step::Invalidate(tag) => {
                        let tag = tag.to_string();
                        shard.invalidate(&tag);
                        prop_assert!(shard.entries.values().all(|e| e.tags.iter().all(|t| **t != *tag)));
                    }
                }
                prop_assert!(shard.bytes <= shard.bytes_max);
                prop_assert_eq!(shard.bytes, shard.entries.values().map(|entry| entry.bytes).sum::<usize>());
                prop_assert_eq!(shard.order.len(), shard.entries.len());
                let tagged: usize = shard.tagged.values().map(HashSet::len).sum();
                let tags = |entry: &Entry| entry.tags.iter().collect::<HashSet<_>>().len();
                prop_assert_eq!(tagged, shard.entries.values().map(tags).sum::<usize>());
            }
        }
    }
}
