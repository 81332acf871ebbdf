//! Codes for whoever lost the authenticator app: 80 random bits, 16 characters in four groups.
//!
//! They are long enough that a fast hash suffices at rest; the user's id is hashed with each, so
//! that equal digests tell nothing. No I/O here.

use troupe_kernel::ids::UserId;

use crate::secret::{NoRandomness, SecretText, digest, random_bytes};

/// Codes a user gets at once.
pub const CODES: usize = 10;
const CODE_BYTES: usize = 10;
const GROUP: usize = 4;
/// Base32 without what is easily mistaken: no `0`, `1`, `8`, `9` (RFC 4648 §6, in small letters).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// New codes.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn generate() -> Result<Vec<SecretText>, NoRandomness> {
    (0..CODES).map(|_| Ok(shown(random_bytes::<CODE_BYTES>()?))).collect()
}

fn shown(bytes: [u8; CODE_BYTES]) -> SecretText {
    let bits = bytes.into_iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(byte));
    let length = CODE_BYTES * 8 / 5;
    let mut text = String::with_capacity(length + length / GROUP);
    for place in 0..length {
        if place > 0 && place % GROUP == 0 {
            text.push('-');
        }
        let index = (bits >> (5 * (length - 1 - place))) & 31;
        text.push(char::from(ALPHABET[usize::try_from(index).expect("five bits")]));
    }
    SecretText::new(text)
}

/// What is stored of a user's code, and what a typed one is compared by: hyphens, spaces and capitals
/// make no difference.
#[must_use]
pub fn digest_of(user: UserId, code: &str) -> [u8; 32] {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    digest(&format!("{user}:{}", code.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn user(number: u128) -> UserId {
        UserId::from(Uuid::from_u128(number))
    }

    #[test]
    fn codes_are_different_and_in_groups() {
        let codes = generate().expect("the system has randomness");
        assert_eq!(codes.len(), CODES);
        for (index, code) in codes.iter().enumerate() {
            let groups: Vec<_> = code.expose().split('-').map(str::len).collect();
            assert_eq!(groups, [4, 4, 4, 4]);
            assert!(!codes[..index].contains(code));
        }
    }

    #[test]
    fn every_bit_of_the_randomness_is_in_the_code() {
        assert_eq!(shown([0; CODE_BYTES]).expose(), "aaaa-aaaa-aaaa-aaaa");
        assert_eq!(shown([0xff; CODE_BYTES]).expose(), "7777-7777-7777-7777");
        assert_eq!(shown(*b"1234567890").expose(), "gezd-gnbv-gy3t-qojq");
    }

    #[test]
    fn a_code_is_the_same_in_any_spelling_and_another_ones_is_not() {
        let kept = digest_of(user(1), "gezd-gnbv-gy3t-qojq");
        assert_eq!(digest_of(user(1), " GEZD GNBV gy3tqojq "), kept);
        assert_ne!(digest_of(user(2), "gezd-gnbv-gy3t-qojq"), kept);
        assert_ne!(digest_of(user(1), "gezd-gnbv-gy3t-qojr"), kept);
    }
}
