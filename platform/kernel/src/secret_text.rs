//! Secrets as they travel inside messages.
//!
//! [`SecretText`] is the one type a password, a token or a key has while it is in the clear. It
//! prints as `[redacted]`, is wiped when dropped and is compared by digest. It can be serialised,
//! because every message must be able to cross a node boundary; the protocols name their secret
//! fields so that observation never shows them. Not a place to keep a secret, and not a value of the
//! configuration: that is [`Secret`](crate::config::Secret), which serialises as a mask.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A secret in the clear, on its way through the system.
#[derive(Clone)]
pub struct SecretText(SecretString);

impl SecretText {
    /// Takes a text that is secret from here on.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text. Call it only where it is checked, hashed or handed to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        // Digests, so that the time of the comparison tells nothing about the texts.
        Sha256::digest(self.expose()) == Sha256::digest(other.expose())
    }
}

impl Eq for SecretText {}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl utoipa::PartialSchema for SecretText {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::Password,
            )))
            .into()
    }
}

impl utoipa::ToSchema for SecretText {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = SecretText::new("correct horse");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(secret.expose(), "correct horse");
    }

    #[test]
    fn a_secret_crosses_the_wire_as_text() {
        let text = serde_json::to_string(&SecretText::new("s3cret")).expect("plain text");
        assert_eq!(text, "\"s3cret\"");
        let back: SecretText = serde_json::from_str(&text).expect("plain text");
        assert_eq!(back, SecretText::new("s3cret"));
        assert_ne!(back, SecretText::new("s3cres"));
    }
}
