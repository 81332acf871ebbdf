//! A bounded memory of two generations: what was used since the last turn survives it.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps between `capacity` and twice as many values; forgetting costs nothing per use.
#[derive(Debug)]
pub struct Memory<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    capacity: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    /// A memory whose generations hold `capacity` values each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity: capacity.max(1) }
    }

    /// The value of a key.
    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.put(key.clone(), value.clone());
        Some(value)
    }

    /// Keeps a value.
    pub fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.capacity && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Forgets what `keep` refuses.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.young.retain(|key, _| keep(key));
        self.old.retain(|key, _| keep(key));
    }

    /// Forgets one key.
    pub fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_survives_and_the_rest_is_bounded() {
        let mut memory = Memory::new(10);
        memory.put(0, 0);
        for key in 1..1000 {
            memory.put(key, key);
            assert_eq!(memory.get(&0), Some(0), "after {key}");
            assert!(memory.len() <= 20);
        }
        assert_eq!(memory.get(&1), None);
    }

    #[test]
    fn what_is_forgotten_is_gone_from_both_generations() {
        let mut memory = Memory::new(2);
        for key in 0..4 {
            memory.put(key, key);
        }
        memory.retain(|key| key % 2 == 1);
        memory.remove(&3);
        assert_eq!((memory.get(&0), memory.get(&1), memory.get(&3)), (None, Some(1), None));
        memory.retain(|_| false);
        assert_eq!(memory.len(), 0);
    }
}
