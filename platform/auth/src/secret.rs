//! The random values that become secrets. What is stored of one is its [`digest`], never the text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest as sha256};
use ring::rand::{SecureRandom, SystemRandom};
pub use troupe_kernel::SecretText;

/// Bytes of randomness in every token: 256 bits.
pub const TOKEN_BYTES: usize = 32;

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
