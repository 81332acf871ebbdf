//! Tokens of one-time links: made here, kept as a digest only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use troupe_kernel::Failure;

/// Bytes of randomness: guessing needs no other defence.
const TOKEN_BYTES: usize = 32;

/// A new token: its text goes out in a mail, its digest into the database.
pub struct NewToken {
    /// The text, URL-safe. A secret.
    pub text: String,
    /// What is kept of it.
    pub digest: String,
}

impl NewToken {
    /// Makes a token.
    ///
    /// # Errors
    /// When the system has no random numbers, which it always has after its start.
    pub fn random() -> Result<Self, Failure> {
        let mut bytes = [0; TOKEN_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| {
            Failure::internal("identity.token.random", "the system gave no random numbers")
        })?;
        let text = URL_SAFE_NO_PAD.encode(bytes);
        let digest = digest(&text);
        Ok(Self { text, digest })
    }
}

/// What is kept of a token: SHA-256 in hex. The token has 256 bits of randomness, so a slow hash
/// would add nothing.
#[must_use]
pub fn digest(token: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(token.as_bytes()) {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_found_by_their_digest() {
        let (one, two) = (NewToken::random().unwrap(), NewToken::random().unwrap());
        assert_ne!(one.text, two.text);
        assert_eq!(one.text.len(), 43);
        assert_eq!(digest(&one.text), one.digest);
        assert!(!one.digest.contains(&one.text));
    }
}
