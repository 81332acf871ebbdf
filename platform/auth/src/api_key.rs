//! The form of API keys: `trp_`, a public prefix that finds the row, `_`, and the secret.
//!
//! The prefix is shown in lists and logs so that people can tell keys apart; the secret has 256
//! bits and only its digest is stored. A token that starts with `trp_` is never an access token.

use std::fmt;

use crate::secret::{NoRandomness, SecretText, digest, new_token, random_bytes};

/// What every API key starts with; secret scanners can look for it.
pub const MARK: &str = "trp_";
/// Characters of the public prefix.
pub const PREFIX_LENGTH: usize = 12;
const SECRET_LENGTH: usize = 43;
/// Lower case letters and digits without those that look alike: 32 characters.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A new key: what its owner gets once, and what is stored.
pub struct NewKey {
    /// The whole key, for its owner.
    pub key: SecretText,
    /// The public prefix.
    pub prefix: String,
    /// The digest of the secret.
    pub digest: [u8; 32],
}

impl fmt::Debug for NewKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NewKey").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Makes a key.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn generate() -> Result<NewKey, NoRandomness> {
    let prefix: String = random_bytes::<PREFIX_LENGTH>()?
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect();
    let secret = new_token()?;
    let key = SecretText::new(format!("{MARK}{prefix}_{}", secret.expose()));
    Ok(NewKey { key, digest: digest(secret.expose()), prefix })
}

/// A presented key, taken apart.
pub struct Presented {
    /// The public prefix.
    pub prefix: String,
    /// The digest of the presented secret.
    pub digest: [u8; 32],
}

/// Whether a bearer credential means to be an API key.
#[must_use]
pub fn is_key(credential: &str) -> bool {
    credential.starts_with(MARK)
}

/// Takes a key apart; none when it does not have the form of one.
#[must_use]
pub fn parse(credential: &str) -> Option<Presented> {
    let rest = credential.strip_prefix(MARK)?;
    let (prefix, rest) = rest.split_at_checked(PREFIX_LENGTH)?;
    let secret = rest.strip_prefix('_')?;
    let formed = prefix.bytes().all(|byte| ALPHABET.contains(&byte))
        && secret.len() == SECRET_LENGTH
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    formed.then(|| Presented { prefix: prefix.to_owned(), digest: digest(secret) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_key_reads_back() {
        for _ in 0..200 {
            let new = generate().expect("the system has randomness");
            let read = parse(new.key.expose()).expect("our own form");
            assert_eq!((read.prefix, read.digest), (new.prefix, new.digest));
        }
    }

    #[test]
    fn a_new_key_does_not_print_its_secret() {
        let new = generate().expect("the system has randomness");
        let secret = &new.key.expose()[MARK.len() + PREFIX_LENGTH + 1..];
        assert!(!format!("{new:?}").contains(secret));
    }

    #[test]
    fn other_forms_are_refused() {
        let new = generate().expect("the system has randomness");
        let key = new.key.expose();
        for wrong in [
            "",
            "trp_",
            &key[1..],
            &key[..key.len() - 1],
            &format!("{key}a"),
            &key.to_uppercase(),
            &key.replacen(MARK, "trp-", 1),
            &format!("trp_{}_{}", "ü".repeat(6), "a".repeat(43)),
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "(trp_)?\\PC{0,80}") {
            if let Some(read) = parse(&text) {
                prop_assert_eq!(read.prefix.len(), PREFIX_LENGTH);
            }
        }
    }
}
