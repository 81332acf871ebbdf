//! Keyset pagination: a page request, a page, and the opaque cursor between two pages.
//!
//! A cursor is URL-safe base64 of a version byte, eight bytes of a SHA-256 over the rest, and the
//! position as JSON. The checksum finds damage and guesswork; it is no signature, so a position
//! must not hold what the caller may not know.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::error::{Failure, FailureKind};

/// Items on a page unless the request says otherwise.
pub const LIMIT_DEFAULT: u32 = 20;
/// Items on a page at most.
pub const LIMIT_MAX: u32 = 100;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
const TEXT_BYTES_MAX: usize = 1024;

/// A position in a list, opaque to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// Takes the text that a caller sent; it is checked when it is decoded.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Wraps a position.
    ///
    /// # Panics
    /// When the position cannot be JSON or is longer than about 700 bytes: a defect of its type.
    #[must_use]
    pub fn encode<T: Serialize>(position: &T) -> Self {
        let body = serde_json::to_vec(position).expect("a position is representable as JSON");
        let mut bytes = Vec::with_capacity(1 + CHECKSUM_BYTES + body.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&checksum(&body));
        bytes.extend_from_slice(&body);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        assert!(text.len() <= TEXT_BYTES_MAX, "a position is a few short values");
        Self(text)
    }

    /// Reads the position.
    ///
    /// # Errors
    /// `kernel.cursor.invalid` for anything that [`encode`](Self::encode) did not make for this type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.try_decode().ok_or_else(|| {
            Failure::new(
                FailureKind::Malformed,
                "kernel.cursor.invalid",
                "this cursor does not belong to this list; take `next_cursor` of the page before, \
                 or start without a cursor",
            )
            .field("cursor", "is not a cursor of this list")
        })
    }

    fn try_decode<T: DeserializeOwned>(&self) -> Option<T> {
        if self.0.len() > TEXT_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (sum, body) = rest.split_at_checked(CHECKSUM_BYTES)?;
        if *version != VERSION || sum != checksum(body) {
            return None;
        }
        serde_json::from_slice(body).ok()
    }

    /// The text that goes to the caller.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update([VERSION]).chain_update(body).finalize();
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    sum
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// Where the page before ended; none for the first page.
    pub cursor: Option<Cursor>,
    /// Items wanted, 1 to 100.
    pub limit: u32,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { cursor: None, limit: LIMIT_DEFAULT }
    }
}

impl PageRequest {
    /// A request for a page.
    ///
    /// # Errors
    /// When the limit is not between 1 and 100.
    pub fn new(cursor: Option<Cursor>, limit: u32) -> Result<Self, Failure> {
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok(Self { cursor, limit });
        }
        let detail = format!("ask for 1 to {LIMIT_MAX} items");
        Err(Failure::new(FailureKind::Malformed, "kernel.page.limit", detail.clone())
            .field("limit", detail))
    }

    /// The position to go on after, if this is not the first page.
    ///
    /// # Errors
    /// `kernel.cursor.invalid`.
    pub fn position<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        self.cursor.as_ref().map(Cursor::decode).transpose()
    }

    /// How many rows to read: one more than wanted, which tells whether there is a next page.
    #[must_use]
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// One part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Send it as `cursor` to get the next page; null on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of the rows that were read with [`PageRequest::rows`]; `position` names the place of
    /// an item in the list.
    #[must_use]
    pub fn from_rows<P: Serialize>(
        mut rows: Vec<T>,
        request: &PageRequest,
        position: impl FnOnce(&T) -> P,
    ) -> Self {
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|item| Cursor::encode(&position(item)).0);
        Self { items: rows, next_cursor }
    }

    /// The same page of other items.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next_cursor: self.next_cursor }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next_cursor: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_read_has_a_next_page_and_a_short_one_has_none() {
        let request = PageRequest::new(None, 2).unwrap();
        let page = Page::from_rows(vec![1, 2, 3], &request, |item| *item);
        assert_eq!(page.items, [1, 2]);
        let cursor = Cursor::from_text(page.next_cursor.unwrap());
        assert_eq!(cursor.decode::<i32>().unwrap(), 2);
        assert_eq!(Page::from_rows(vec![1, 2], &request, |item| *item).next_cursor, None);
        assert!(Page::from_rows(Vec::<i32>::new(), &request, |item| *item).items.is_empty());
    }

    #[test]
    fn a_cursor_of_another_type_is_refused() {
        let cursor = Cursor::encode(&(1, "a"));
        assert_eq!(cursor.decode::<(i64, String)>().unwrap(), (1, "a".to_owned()));
        assert_eq!(cursor.decode::<i64>().unwrap_err().code(), "kernel.cursor.invalid");
    }

    #[test]
    fn limits_outside_the_range_are_refused() {
        for limit in [0, LIMIT_MAX + 1, u32::MAX] {
            assert_eq!(PageRequest::new(None, limit).unwrap_err().code(), "kernel.page.limit");
        }
    }
}
