//! A bounded map that keeps what is used: two generations, of which the old one is dropped whole.
//!
//! An entry that is read while old becomes young again, so what is used within a generation's
//! lifetime stays. Every operation but `retain` costs one or two look-ups.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use foldhash::quality::RandomState;

pub(crate) struct Generations<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    young_max: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// A map of at most `entries_max` entries, and at least two.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            young_max: (entries_max / 2).max(1),
        }
    }

    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.young_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Keeps the entries that `keep` wants.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.young.retain(&mut keep);
        self.old.retain(&mut keep);
    }

    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut map = Generations::new(8);
        map.insert(0, "used");
        for key in 1..100 {
            map.insert(key, "passing");
            assert_eq!(map.get_mut(&0), Some(&mut "used"), "after {key}");
        }
        assert_eq!(map.get_mut(&1), None);
        assert!(map.len() <= 8);
        map.remove(&0);
        assert_eq!(map.get_mut(&0), None);
    }

    proptest! {
        #[test]
        fn it_never_outgrows_its_bound_nor_answers_an_old_value(
            entries_max in 2_usize..20,
            steps in prop::collection::vec((0_u8..30, any::<bool>()), 0..200),
        ) {
            let mut map = Generations::new(entries_max);
            let mut model = HashMap::new();
            for (step, (key, reads)) in steps.into_iter().enumerate() {
                if reads {
                    if let Some(value) = map.get_mut(&key) {
                        prop_assert_eq!(Some(&*value), model.get(&key));
                    }
                } else {
                    map.insert(key, step);
                    model.insert(key, step);
                }
                prop_assert!(map.len() <= entries_max);
            }
            map.retain(|key, _| key % 2 == 0);
            for key in (1..30).step_by(2) {
                prop_assert_eq!(map.get_mut(&key), None);
            }
        }
    }
}
