//! One-time codes of authenticator apps (RFC 6238): six digits of HMAC-SHA-1, a new code every 30
//! seconds, which is the one form that every app knows.
//!
//! A code of the step before or after is accepted, for clocks that are not exact. A code is good
//! once; the caller keeps the step of the last one. No I/O here.

use totp_rs::{Builder, Secret, Totp};
use troupe_kernel::clock::Timestamp;

use crate::secret::{NoRandomness, SecretText, random_bytes};

/// Bytes of a secret: 160 bits, as RFC 4226 §4 recommends.
pub const SECRET_BYTES: usize = 20;
/// Digits of a code.
pub const CODE_DIGITS: usize = 6;

/// A new secret.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn new_secret() -> Result<[u8; SECRET_BYTES], NoRandomness> {
    random_bytes()
}

/// The secret as people type it into an app: base32 (RFC 4648), 32 characters.
#[must_use]
pub fn typed(secret: &[u8; SECRET_BYTES]) -> SecretText {
    SecretText::new(Secret::new_stack(*secret).to_base32())
}

/// The secret as an app scans it: an `otpauth` address that names the platform and the account.
#[must_use]
pub fn scanned(secret: &[u8; SECRET_BYTES], issuer: &str, account: &str) -> SecretText {
    // A colon divides the two names, so that neither may hold one.
    let totp = builder(*secret)
        .with_issuer(Some(issuer.replace(':', " ")))
        .with_account_name(account.replace(':', " "))
        .build_noncompliant();
    SecretText::new(totp.to_url().expect("an account has a name without colons"))
}

/// The time step whose code this is, of the three that are accepted at `now`.
#[must_use]
pub fn step_of(secret: &[u8; SECRET_BYTES], code: &str, now: Timestamp) -> Option<i64> {
    let step = reader(*secret).check(code, seconds(now))?;
    i64::try_from(step).ok()
}

/// The code of a secret at a time, as its app shows it.
#[must_use]
pub fn code_at(secret: &[u8; SECRET_BYTES], at: Timestamp) -> String {
    reader(*secret).generate(seconds(at)).to_string()
}

fn builder(secret: [u8; SECRET_BYTES]) -> Builder {
    Builder::new().with_digits(6).with_skew(1).with_secret(Secret::new_stack(secret))
}

fn reader(secret: [u8; SECRET_BYTES]) -> Totp {
    builder(secret).build_noncompliant()
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const VECTOR: &[u8; SECRET_BYTES] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, the rows of SHA-1; six digits are the last six of its eight.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(VECTOR, at(seconds)), code, "at {seconds}");
            assert_eq!(step_of(VECTOR, code, at(seconds)), Some(seconds / 30), "at {seconds}");
        }
    }

    #[test]
    fn a_code_is_accepted_one_step_early_and_late_and_no_more() {
        let now = 1_111_111_111;
        let step = now / 30;
        for (later, expected) in [(-60, None), (-30, Some(step)), (30, Some(step)), (60, None)] {
            assert_eq!(step_of(VECTOR, "050471", at(now + later)), expected, "{later} s later");
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        for text in ["", "50471", "0050471", "+50471", "05047a", "０５０４７１", "050472"] {
            assert_eq!(step_of(VECTOR, text, at(1_111_111_111)), None, "{text}");
        }
    }

    #[test]
    fn an_app_can_scan_and_type_the_secret() {
        let typed = typed(VECTOR);
        assert_eq!(typed.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let address = scanned(VECTOR, "Wind: Mill", "ada+x@windmill.example");
        let address = address.expose();
        assert!(address.starts_with("otpauth://totp/Wind%20%20Mill:ada"), "{address}");
        assert!(address.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{address}");
        let read = Totp::from_url(address).expect("an address of this form");
        assert_eq!(read.account_name(), "ada+x@windmill.example");
        assert_eq!(read.generate(59).to_string(), "287082");
    }
}
