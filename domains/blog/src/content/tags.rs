//! Tags: short labels, compared without regard to case.
//!
//! Invariant: a normalised tag is trimmed, lower case, has single spaces only,
//! no control characters, no comma and at most
//! [`TAG_CHARACTERS_MAX`] characters; a normalised list has no duplicates and
//! keeps the order it was given in.

use thiserror::Error;

use super::limits::{TAG_CHARACTERS_MAX, TAGS_MAX};

/// Why a list of tags was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TagError {
    /// More than [`TAGS_MAX`].
    #[error("a post has at most {TAGS_MAX} tags, not {0}")]
    TooMany(usize),
    /// Longer than [`TAG_CHARACTERS_MAX`].
    #[error("tag {position} is longer than {TAG_CHARACTERS_MAX} characters")]
    TooLong {
        /// Its place in the list, from 0.
        position: usize,
    },
    /// A comma or a control character.
    #[error("tag {position} contains a comma or a control character")]
    Character {
        /// Its place in the list, from 0.
        position: usize,
    },
    /// Nothing but white space.
    #[error("tag {position} is empty")]
    Empty {
        /// Its place in the list, from 0.
        position: usize,
    },
}

/// One tag in its normal form: trimmed, single spaces, lower case.
#[must_use]
pub fn normalise_one(tag: &str) -> String {
    tag.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The normal form of a list, without duplicates, in the order given.
///
/// # Errors
/// The first tag that breaks a rule, or too many of them.
pub fn normalise<S: AsRef<str>>(tags: &[S]) -> Result<Vec<String>, TagError> {
    if tags.len() > TAGS_MAX {
        return Err(TagError::TooMany(tags.len()));
    }
    let mut list: Vec<String> = Vec::with_capacity(tags.len());
    for (position, tag) in tags.iter().enumerate() {
        let normal = normalise_one(tag.as_ref());
        if normal.is_empty() {
            return Err(TagError::Empty { position });
        }
        if normal.contains(',') || normal.chars().any(char::is_control) {
            return Err(TagError::Character { position });
        }
        if normal.chars().count() > TAG_CHARACTERS_MAX {
            return Err(TagError::TooLong { position });
        }
        if !list.contains(&normal) {
            list.push(normal);
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_space_and_duplicates_fold() {
        let tags = normalise(&["Rust", " rust ", "Actor   Systems", "C++"]).expect("valid");
        assert_eq!(tags, ["rust", "actor systems", "c++"]);
    }

    #[test]
    fn each_fault_names_its_place() {
        assert_eq!(normalise(&["a", "  "]), Err(TagError::Empty { position: 1 }));
        assert_eq!(normalise(&["a,b"]), Err(TagError::Character { position: 0 }));
        assert_eq!(normalise(&["x".repeat(51)]), Err(TagError::TooLong { position: 0 }));
        assert_eq!(normalise(&vec!["x"; 21]), Err(TagError::TooMany(21)));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(tags in proptest::collection::vec("\\PC{0,60}", 0..20)) {
            if let Ok(once) = normalise(&tags) {
                prop_assert_eq!(normalise(&once), Ok(once.clone()));
            }
        }
    }
}
