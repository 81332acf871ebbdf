//! Secrets as they travel inside messages, and the random values that become secrets.
//!
//! [`SecretText`] is the one type a password, a token or a key has while it is in the clear. It
//! prints as `[redacted]`, is wiped when dropped and is compared in constant time. It can be
//! serialised, because every message must be able to cross a node boundary; the protocols name
//! their secret fields so that observation never shows them. Not a place to keep a secret: what
//! is stored is [`digest`], never the text.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest as sha256};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of randomness in every token: 256 bits.
pub const TOKEN_BYTES: usize = 32;

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
        digests_equal(&digest(self.expose()), &digest(other.expose()))
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

/// The operating system's random numbers failed, which leaves nothing safe to do but to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random numbers")]
pub struct NoRandomness;

/// `N` random bytes from the operating system.
///
/// # Errors
/// When the operating system refuses.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A new opaque token of 256 bits, 43 characters of base64url.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn new_token() -> Result<SecretText, NoRandomness> {
    Ok(SecretText::new(URL_SAFE_NO_PAD.encode(random_bytes::<TOKEN_BYTES>()?)))
}

/// What is stored of a random token. A fast hash suffices: the token has 256 bits of its own.
#[must_use]
pub fn digest(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(sha256(&SHA256, token.as_bytes()).as_ref());
    bytes
}

/// Whether two digests are the same, in constant time.
#[must_use]
pub fn digests_equal(left: &[u8], right: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    left.ct_eq(right).into()
}

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

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let first = new_token().expect("the system has randomness");
        let second = new_token().expect("the system has randomness");
        assert_eq!(first.expose().len(), 43);
        assert_ne!(first, second);
    }

    #[test]
    fn a_digest_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let expected = [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea];
        assert_eq!(digest("abc")[..8], expected);
    }
}
