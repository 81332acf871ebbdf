//! Documents that their owner writes once and answers many times.
//!
//! A service that keeps its state in memory keeps the JSON of it as well: an answer then costs a
//! reference, and a caller that has this version already gets 304 without anything being written.

use std::fmt::Display;
use std::sync::OnceLock;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde::{Deserialize, Serialize};

use super::HttpResponse;
use super::response::{JSON, unserialisable};
use crate::error::Failure;

/// A JSON document with its strong entity tag. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoded {
    body: Bytes,
    #[serde(with = "field")]
    etag: HeaderValue,
}

impl Encoded {
    /// Writes `value`, which has this version.
    ///
    /// # Errors
    /// When the value has no JSON, or the version no place in a header field.
    pub fn json<T: Serialize>(value: &T, version: impl Display) -> Result<Self, Failure> {
        let body = serde_json::to_vec(value).map_err(|error| unserialisable(&error))?;
        let etag = HeaderValue::from_maybe_shared(Bytes::from(format!("\"{version}\"")))
            .map_err(|error| unserialisable(&error))?;
        Ok(Self { body: body.into(), etag })
    }
}

impl From<Encoded> for HttpResponse {
    fn from(encoded: Encoded) -> Self {
        let mut response = Self::new(StatusCode::OK);
        response.headers.insert(header::CONTENT_TYPE, JSON);
        response.headers.insert(header::ETAG, encoded.etag);
        response.body = encoded.body;
        response
    }
}

/// A value with its document, which is written when it is first asked for.
#[derive(Debug, Clone)]
pub struct Kept<T> {
    value: T,
    version: u64,
    encoded: OnceLock<Encoded>,
}

impl<T: Serialize> Kept<T> {
    /// Keeps `value`. Another version is another value: with [`replace`](Self::replace) its
    /// document goes as well.
    #[must_use]
    pub fn new(value: T, version: u64) -> Self {
        Self { value, version, encoded: OnceLock::new() }
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Puts another version in its place and answers the value that it had.
    pub fn replace(&mut self, value: T, version: u64) -> T {
        std::mem::replace(self, Self::new(value, version)).value
    }

    /// Its document; the entity tag is the version.
    ///
    /// # Errors
    /// See [`Encoded::json`].
    pub fn encoded(&self) -> Result<Encoded, Failure> {
        if let Some(encoded) = self.encoded.get() {
            return Ok(encoded.clone());
        }
        let encoded = Encoded::json(&self.value, self.version)?;
        Ok(self.encoded.get_or_init(|| encoded).clone())
    }
}

mod field {
    use http::header::HeaderValue;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        value: &HeaderValue,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(value.as_bytes())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HeaderValue, D::Error> {
        let bytes = bytes::Bytes::deserialize(deserializer)?;
        HeaderValue::from_maybe_shared(bytes).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is written.
    struct Counted<'a>(&'a AtomicUsize, u8);

    impl Serialize for Counted<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            serializer.serialize_u8(self.1)
        }
    }

    #[test]
    fn a_version_is_written_once_and_the_next_one_anew() {
        let written = AtomicUsize::new(0);
        let mut kept = Kept::new(Counted(&written, 1), 7);
        for _ in 0..3 {
            let response = HttpResponse::from(kept.encoded().unwrap());
            assert_eq!(
                (&response.headers[header::ETAG], &*response.body),
                (&"\"7\"".parse().unwrap(), &b"1"[..])
            );
        }
        assert_eq!(written.load(Ordering::Relaxed), 1);
        assert_eq!(kept.replace(Counted(&written, 2), 8).1, 1);
        let response = HttpResponse::from(kept.encoded().unwrap());
        assert_eq!(
            (&response.headers[header::ETAG], &*response.body),
            (&"\"8\"".parse().unwrap(), &b"2"[..])
        );
        assert_eq!(written.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_encoded_document_is_the_response_that_writing_it_gives() {
        let encoded = Encoded::json(&["a"], 3).unwrap();
        let again: Encoded = troupe_actors::through_wire(&encoded).unwrap();
        assert_eq!(again, encoded);
        assert_eq!(HttpResponse::from(again), HttpResponse::ok(&["a"]).etag(3));
    }

    #[test]
    fn a_version_that_no_field_can_hold_is_refused() {
        assert!(Encoded::json(&1, "a\nb").is_err());
    }
}
