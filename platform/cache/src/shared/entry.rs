//! How a value lies in Redis: the names of its tags, their tokens as they were when its load began,
//! and the value.
//!
//! `length of names: u16 · (length: u16 · name)… · (token: 16 bytes)… · value`, integers big-endian.
//! A value is good while every tag still has its token. Tokens are random and never come twice, and
//! a tag without one is good for nothing: whatever Redis loses, no older value becomes good by it.

use bytes::Bytes;

/// Length of a token and of the owner of a lease.
pub(super) const TOKEN_BYTES: usize = 16;

/// The names of tags as they begin an entry; none when they are too long to be kept.
pub(super) fn names(tags: &[String]) -> Option<Vec<u8>> {
    let mut names = vec![0, 0];
    for tag in tags {
        names.extend_from_slice(&u16::try_from(tag.len()).ok()?.to_be_bytes());
        names.extend_from_slice(tag.as_bytes());
    }
    let length = u16::try_from(names.len() - 2).ok()?;
    names[..2].copy_from_slice(&length.to_be_bytes());
    Some(names)
}

/// An entry as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) tags: Vec<String>,
    pub(super) tokens: Bytes,
    pub(super) value: Bytes,
}

/// Reads an entry; none when it is not in the form of this version.
pub(super) fn parse(bytes: &Bytes) -> Option<Entry> {
    let (names, _) = part(bytes)?;
    let tokens_at = 2 + names.len();
    let mut tags = Vec::new();
    let mut rest = names;
    while !rest.is_empty() {
        let (name, after) = part(rest)?;
        tags.push(std::str::from_utf8(name).ok()?.to_owned());
        rest = after;
    }
    let value_at = tokens_at + tags.len() * TOKEN_BYTES;
    if value_at > bytes.len() {
        return None;
    }
    Some(Entry { tags, tokens: bytes.slice(tokens_at..value_at), value: bytes.slice(value_at..) })
}

/// What a length of two bytes announces, and what follows it.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(2)?;
    rest.split_at_checked(usize::from(u16::from_be_bytes([length[0], length[1]])))
}

/// The tokens in a row; none when a tag has none.
pub(super) fn row(tokens: Vec<Option<Vec<u8>>>) -> Option<Vec<u8>> {
    let mut row = Vec::with_capacity(tokens.len() * TOKEN_BYTES);
    for token in tokens {
        row.extend_from_slice(&token?);
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_is_read_back_and_a_cut_one_never_panics(
            tags in proptest::collection::vec(".{0,20}", 0..4),
            value in proptest::collection::vec(any::<u8>(), 0..50),
            cut in any::<prop::sample::Index>(),
        ) {
            let tokens = vec![7; tags.len() * TOKEN_BYTES];
            let mut bytes = names(&tags).unwrap();
            bytes.extend_from_slice(&tokens);
            bytes.extend_from_slice(&value);
            let whole = Bytes::from(bytes);
            let entry = parse(&whole).unwrap();
            prop_assert_eq!((&entry.tags, &entry.tokens[..], &entry.value[..]), (&tags, &tokens[..], &value[..]));
            drop(parse(&whole.slice(..cut.index(whole.len()))));
        }
    }

    #[test]
    fn tags_that_are_too_long_are_not_written() {
        assert_eq!(names(&["x".repeat(70_000)]), None);
        assert_eq!(names(&vec!["x".repeat(1000); 66]), None);
    }
}
