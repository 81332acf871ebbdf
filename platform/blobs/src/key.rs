//! The key of a blob, checked before it becomes a path.
//!
//! A key is one to sixteen segments of letters, digits and `-._`, separated by `/`. No segment
//! begins with a dot, so that no key climbs or hides, and no key can name a file of the store's own,
//! whose names hold an `@`.

use std::fmt;

use crate::error::BlobError;

/// Bytes of a whole key.
pub const KEY_BYTES_MAX: usize = 512;
const SEGMENTS_MAX: usize = 16;
/// Leaves room for what the store adds to the name of a file.
const SEGMENT_BYTES_MAX: usize = 128;
const SHOWN_CHARS_MAX: usize = 64;

/// A key that is safe to use as a path below the directory of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobKey(String);

impl BlobKey {
    /// Checks a key.
    ///
    /// # Errors
    /// [`BlobError::Key`] with what is wrong.
    pub fn parse(key: &str) -> Result<Self, BlobError> {
        let fault = |reason| {
            let key = key.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_default).collect();
            Err(BlobError::Key { key, reason })
        };
        if key.len() > KEY_BYTES_MAX {
            return fault("it has more than 512 bytes");
        }
        let mut segments = 0;
        for segment in key.split('/') {
            segments += 1;
            if segment.is_empty() {
                return fault("it has an empty segment");
            }
            if segment.len() > SEGMENT_BYTES_MAX {
                return fault("a segment has more than 128 bytes");
            }
            if segment.starts_with('.') {
                return fault("a segment begins with a dot");
            }
            if !segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
                return fault("it may hold letters, digits and -._ only");
            }
        }
        if segments > SEGMENTS_MAX {
            return fault("it has more than 16 segments");
        }
        Ok(Self(key.to_owned()))
    }

    /// Whether a key may begin with this; it may end anywhere, also within a segment.
    pub(crate) fn may_begin_with(prefix: &str) -> bool {
        prefix.is_empty() || Self::parse(prefix.strip_suffix('/').unwrap_or(prefix)).is_ok()
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Everything before the last segment, and the last segment.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_climb_hide_or_collide_is_refused() {
        for key in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            ".hidden",
            "a/.b",
            "a\\b",
            "a b",
            "a\0b",
            "a@info",
            "é",
            "C:",
            "a/\u{2025}/b",
        ] {
            assert!(BlobKey::parse(key).is_err(), "{key:?}");
        }
        assert!(BlobKey::parse(&"a/".repeat(16)).is_err());
        assert!(BlobKey::parse(&["a"; 17].join("/")).is_err());
        assert!(BlobKey::parse(&"a".repeat(129)).is_err());
        assert!(BlobKey::parse(&["a".repeat(120).as_str(); 5].join("/")).is_err());
        for key in ["a", "0197/media/photo-1.large.jpg", "a..b", "A_b/c"] {
            assert_eq!(BlobKey::parse(key).map(|key| key.0).ok().as_deref(), Some(key));
        }
    }

    #[test]
    fn a_prefix_ends_anywhere_and_begins_like_a_key() {
        for prefix in ["", "a", "a/", "a/b", "a-"] {
            assert!(BlobKey::may_begin_with(prefix), "{prefix:?}");
        }
        for prefix in ["/", "../", "a//", "a/.b", "a@", "."] {
            assert!(!BlobKey::may_begin_with(prefix), "{prefix:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_key_stays_below_its_directory(key in "[a-z./\\\\@%\\x00-]{0,40}") {
            if let Ok(key) = BlobKey::parse(&key) {
                let plain = Path::new(key.as_str())
                    .components()
                    .all(|component| matches!(component, Component::Normal(_)));
                prop_assert!(plain);
            }
        }
    }
}
