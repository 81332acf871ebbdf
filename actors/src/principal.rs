//! On whose behalf a message is handled, and what they may do.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What kind of party acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person with a session.
    User,
    /// A program with an API key.
    Service,
    /// The platform itself: jobs, consumers, the command line.
    System,
}

/// Who acts, in which tenant, and the permissions that were compiled for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The user, service account or system part that acts.
    pub subject: Uuid,
    /// What kind of party that is.
    pub kind: PrincipalKind,
    /// The tenant the request works in; none for platform-wide work.
    pub tenant: Option<Uuid>,
    /// The session the credential belongs to, the unit of revocation.
    pub session: Option<Uuid>,
    /// The permissions compiled to bits; empty until the authorization gate filled it.
    pub permissions: PermissionSet,
    /// An upper bound that the credential itself sets (an API key's scope); none means no bound.
    pub bound: Option<PermissionSet>,
    /// A name for logs and audit, never a secret.
    pub label: String,
}

/// A set of permissions as bits; the catalogue in the kernel gives each permission its bit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionSet {
    words: Vec<u64>,
}

impl PermissionSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Adds a permission by its bit.
    pub fn insert(&mut self, bit: u16) {
        let word = usize::from(bit / 64);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (bit % 64);
    }

    /// Whether the permission is in the set.
    #[must_use]
    pub fn contains(&self, bit: u16) -> bool {
        self.words.get(usize::from(bit / 64)).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    /// The permissions that are in both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self { words: self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect() }
    }

    /// Adds every permission of `other`.
    pub fn extend(&mut self, other: &Self) {
        for bit in other.iter() {
            self.insert(bit);
        }
    }

    /// Whether every permission of this set is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|bit| other.contains(bit))
    }

    /// Whether the set has no permission.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The bits of the set in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            (0..64u16)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| u16::try_from(index * 64).unwrap_or(u16::MAX).saturating_add(bit))
        })
    }
}

impl FromIterator<u16> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = u16>>(bits: I) -> Self {
        let mut set = Self::new();
        for bit in bits {
            set.insert(bit);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_answers_for_the_bits_it_was_given() {
        let set: PermissionSet = [0, 63, 64, 300].into_iter().collect();
        assert!(set.contains(0) && set.contains(63) && set.contains(64) && set.contains(300));
        assert!(!set.contains(1) && !set.contains(299) && !set.contains(u16::MAX));
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 300]);
    }

    #[test]
    fn an_intersection_is_a_subset_of_both() {
        let left: PermissionSet = [1, 2, 70].into_iter().collect();
        let right: PermissionSet = [2, 70, 200].into_iter().collect();
        let both = left.intersect(&right);
        assert!(both.is_subset(&left) && both.is_subset(&right));
        assert_eq!(both.iter().collect::<Vec<_>>(), [2, 70]);
    }
}
