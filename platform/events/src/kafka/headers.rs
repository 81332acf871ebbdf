//! The headers of a message in one run of bytes: they are kept of every message, and read of few.

use serde::{Deserialize, Serialize};

/// A length that stands for a header without a value.
const NONE: u32 = u32::MAX;

/// Headers with their values, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// `(length of name: u32 · name · length of value: u32 · value)…`, integers big-endian.
    run: Vec<u8>,
}

impl Kept {
    /// Keeps a header behind the others.
    pub(super) fn add(&mut self, name: &str, value: Option<&[u8]>) {
        self.part(Some(name.as_bytes()));
        self.part(value);
    }

    fn part(&mut self, part: Option<&[u8]>) {
        // A message is never as long as that.
        let length = part.map_or(NONE, |part| u32::try_from(part.len()).unwrap_or(NONE));
        self.run.extend_from_slice(&length.to_be_bytes());
        self.run.extend_from_slice(part.filter(|_| length != NONE).unwrap_or_default());
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let mut rest = &self.run[..];
        std::iter::from_fn(move || {
            let name = std::str::from_utf8(next(&mut rest)??).ok()?;
            Some((name, next(&mut rest)?))
        })
    }
}

/// The next part; none at the end, and none in it for one without a value.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length);
    if length == NONE {
        *rest = after;
        return Some(None);
    }
    let (part, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(Some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_back_in_their_order_with_and_without_values() {
        let all: [(&str, Option<&[u8]>); 5] =
            [("a", Some(b"1")), ("", Some(b"")), ("b", None), ("a", Some(&[0xff, 0])), ("c", None)];
        let mut kept = Kept::default();
        for (name, value) in all {
            kept.add(name, value);
        }
        assert_eq!(kept.iter().collect::<Vec<_>>(), all);
        assert_eq!(Kept::default().iter().count(), 0);
    }

    #[test]
    fn a_run_that_is_cut_ends_early_and_never_panics() {
        let mut kept = Kept::default();
        kept.add("name", Some(b"value"));
        kept.add("none", None);
        for end in 0..kept.run.len() {
            let cut = Kept { run: kept.run[..end].to_vec() };
            assert!(cut.iter().count() < 2, "{end}");
        }
    }
}
