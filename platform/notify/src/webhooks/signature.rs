//! Signatures of Standard Webhooks: HMAC-SHA-256 over `ID.TIMESTAMP.BODY`, one for each secret that is
//! good now.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use troupe_kernel::{Failure, SecretText, Timestamp, Uuid};

/// Bytes of a secret; the specification wants 24 to 64.
const SECRET_BYTES: usize = 32;
/// How a secret begins, so that it is known for what it is.
const SECRET_PREFIX: &str = "whsec_";

/// A new secret.
///
/// # Errors
/// When the operating system gives no randomness.
pub(crate) fn new_secret() -> Result<[u8; SECRET_BYTES], Failure> {
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut secret).map_err(|_| {
        Failure::internal("notify.webhook.random", "the operating system gave no random numbers")
    })?;
    Ok(secret)
}

/// A secret as its receiver takes it.
pub(crate) fn shown(secret: &[u8]) -> SecretText {
    SecretText::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(secret)))
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    /// The `webhook-id`. An id has no full stop, so that no other message has the same text.
    pub(crate) message: Uuid,
    /// The `webhook-timestamp`: when the attempt is made.
    pub(crate) at: Timestamp,
    /// The body.
    pub(crate) body: &'a str,
}

impl Signed<'_> {
    /// The value of `webhook-signature` under these secrets.
    pub(crate) fn with(&self, secrets: &[Vec<u8>]) -> String {
        let text = format!("{}.{}.{}", self.message, self.at.as_secs(), self.body);
        let signature = |secret: &Vec<u8>| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            format!("v1,{}", STANDARD.encode(hmac::sign(&key, text.as_bytes())))
        };
        secrets.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_random_and_shown_in_the_form_of_the_specification() {
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert_ne!(one, two);
        let text = shown(&one);
        let encoded = text.expose().strip_prefix("whsec_").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), one);
    }

    #[test]
    fn there_is_a_signature_for_each_secret_separated_by_spaces() {
        let signed =
            Signed { message: Uuid::from_u128(7), at: Timestamp::from_secs(9), body: "{}" };
        let both = signed.with(&[b"one".to_vec(), b"two".to_vec()]);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, signed.with(&[b"one".to_vec()]));
        assert_eq!(second, signed.with(&[b"two".to_vec()]));
        assert!(first.starts_with("v1,") && first != second);
    }
}
