//! Rows of the trail, one text for both dialects.

pub mod checkpoints;
pub mod entries;
pub mod heads;
pub mod queue;

use crate::canonical::Hash;

/// A sequence, position or number as the database keeps it.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A sequence, position or number from the database; one that was made negative becomes zero, which
/// no entry has, and is found by verification.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A stored hash; one of another length becomes one that matches nothing.
pub(crate) fn hash_of(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or([0xff; 32])
}
